"""Shortens what a clinic waits for, in the real processes of a fault scenario: leases, pauses, a relay's silence."""

import functools
from datetime import timedelta
from types import ModuleType

LEASE = 3.0  # seconds
PAUSE = 0.2
PER_LINK = 2  # letters over one connection, so that many are left in order
SILENCE = 1.5
REPEAT = 3.0  # seconds until an uncertain letter is sent again


def _leases(module: ModuleType) -> None:
    vars(module)["LEASE"] = timedelta(seconds=LEASE)


def _pauses(module: ModuleType) -> None:
    vars(module)["BACKOFF_BASE"] = PAUSE


def _links(module: ModuleType) -> None:
    vars(module)["PER_LINK"] = PER_LINK


def _silences(module: ModuleType) -> None:
    waits = dict.fromkeys(("connect", "command", "data", "content", "end"), SILENCE)
    vars(module)["Patience"] = functools.partial(module.Patience, **waits)


def _doubts(module: ModuleType) -> None:
    rules = module.Rules
    vars(module)["Rules"] = lambda give_up, _: rules(give_up, timedelta(seconds=REPEAT))


HURRY = {
    "svc_prescriptions.outbox.claims": _leases,
    "svc_prescriptions.outbox.outcomes": _pauses,
    "svc_prescriptions.outbox.worker": _links,
    "svc_prescriptions.relay.link": _silences,
    "svc_prescriptions.wiring": _doubts,
}
"""For `plant_on_import`."""
