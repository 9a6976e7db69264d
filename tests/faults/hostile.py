"""Hostile addresses, names and texts through REST, service, letter and an SMTP server: right, or refused at the door.

What is accepted must arrive at its one recipient, with the headers that were meant and both bodies whole; what no
letter can go to must be refused with a 400 that names the field. A third is then changed, a third deleted, so that
letters that name others travel, too.
"""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

from svc_prescriptions.letter.texts import clean
from tests.fakes.letters import Table, html, plain
from tests.fakes.relay import Taken
from tests.fakes.relay.process import RelayProcess
from tests.fakes.waiting import wait_until
from tests.faults.hostile_texts import Case, body, cases
from tests.faults.report import Report, Scenario
from tests.stack import Stack

CASES = 500
AT_ONCE = 8
LONGEST = 120.0  # seconds until all letters must have arrived
PATIENCE = 20  # tries of one write
DONE, CREATED, GONE, REFUSAL, NOT_KNOWN = 200, 201, 204, 400, (503, 504)
WRITTEN = re.compile(r"\.[0-9]{8}T[0-9]{6}Z@")
DOMAIN = "localhost"  # of the sender's address when none is set
MEANT = ("Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type")
NAMING = ("Message-ID", "In-Reply-To", "References", *MEANT[1:])


@dataclass
class Told:
    """What happened so far."""

    statuses: Counter[int] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def run(scenario: Scenario) -> Report:
    """All of them through a real gateway and service."""
    told, rng = Told(), scenario.rng("hostile")
    with RelayProcess(scenario.folder) as relay:
        settings = {"CAREMESH_MAIL_RELAY": relay.address}
        with Stack(scenario.folder, settings=settings) as stack, ThreadPoolExecutor(AT_ONCE) as pool:
            asked = list(cases(rng, scenario.size(CASES)))
            list(pool.map(lambda case: _post(stack, case, told), asked))
            accepted = [case for case in asked if case.key]
            meant = {_id(case.key, 1, "new"): case for case in accepted}
            _arrive(relay, len(meant), scenario)
            changed = [replaced(case, rng) for case in accepted[::3]]
            list(pool.map(lambda case: _put(stack, case, told), changed))
            list(pool.map(lambda case: _delete(stack, case, told), accepted[1::3]))
            meant |= {_id(case.key, 2, "revision"): case for case in changed}
            meant |= {_id(case.key, 2, "cancellation"): case for case in accepted[1::3]}
            _arrive(relay, len(meant), scenario)
            told.broken += crashes(stack, accepted)
        letters = relay.letters()
    return report(asked, letters, meant, told)


def replaced(case: Case, rng: Random) -> Case:
    """Other texts to the same address."""
    kept = {name: case.body[name] for name in ("patient_id", "mail_to")}
    return Case({**body(rng), **kept}, case.travels, key=case.key)


def report(asked: Sequence[Case], letters: Sequence[Taken], meant: Mapping[str, Case], told: Told) -> Report:
    """What arrived, held against what was meant."""
    arrived = Counter(_known(letter) for letter in letters)
    broken = [f"lost: {name} did not arrive" for name in sorted(meant.keys() - arrived)]
    broken += [f"too many: {name} arrived {times} times" for name, times in arrived.items() if times > 1]
    broken += [f"too many: {name} was not meant" for name in sorted(arrived.keys() - meant)]
    for letter in letters:
        broken += findings(letter, meant[_known(letter)]) if _known(letter) in meant else []
    figures = {
        "prescriptions": len(asked),
        "to be refused": sum(bool(case.wrong) for case in asked),
        **{f"answered {status}": times for status, times in sorted(told.statuses.items())},
        "letters": len(letters),
        **{name: sum(told.startswith(name) for told in broken) for name in ("extra headers", "extra recipients")},
        "crashes": sum(one.startswith("crash") for one in told.broken),
    }
    return Report(figures, [*told.broken, *broken])


def findings(letter: Taken, case: Case) -> list[str]:
    """What is wrong with a letter that arrived."""
    message, found = letter.message, []
    headers = NAMING if message["In-Reply-To"] else MEANT
    name = letter.message_id
    if tuple(message.keys()) != headers or any(part.defects for part in message.walk()):
        found.append(f"extra headers: {name} has {', '.join(message.keys())}")
    to = message["To"]
    if letter.recipients != (case.travels,) or str(to) != case.travels or len(to.addresses) != 1:
        found.append(f"extra recipients: {name} went to {letter.recipients}, to {to}; meant was {case.travels}")
    texts = [clean(text) for text in _texts(case.body)]
    cells, lines = Table(html(message)).cells, plain(message).translate({0x2068: None, 0x2069: None})
    if missing := [text for text in texts if text not in cells]:
        found.append(f"a text is missing: {name}, HTML, {missing[0]!r:.60}")
    if missing := [text for text in texts if text.replace("\n", "\n" + " " * 16) not in lines]:
        found.append(f"a text is missing: {name}, plain, {missing[0]!r:.60}")
    if any(text[:5] in str(message["Subject"]) for text in texts if len(text) > 5):
        found.append(f"patient data in the subject: {name}")
    return found


def _texts(wanted: Mapping[str, Any]) -> list[str]:
    names = ("patient_name", "patient_address", "prescriber_name", "prescriber_address")
    return [wanted[name] for name in names] + [text for one in wanted["medications"] for text in one.values()]


def crashes(stack: Stack, accepted: Sequence[Case]) -> list[str]:
    """Processes that ended, exceptions in logs, letters that ended in another way than being sent."""
    found = [
        f"crash: {name}" for name, one in stack.processes.items() if not one.running or one.running.poll() is not None
    ]
    found += [f"crash: {line:.200}" for line in stack.told.splitlines() if "Traceback" in line or " ended by " in line]
    for case in accepted:
        status, page = stack.ask("GET", f"/prescriptions/{case.key}/deliveries")
        states = {one["state"] for one in page["deliveries"]} if status == 200 else {status}
        found += [f"crash: letters of {case.key} are {states}"] if states != {"sent"} else []
    return found


def _post(stack: Stack, case: Case, told: Told) -> None:
    status, answer = _ask(stack, "POST", "/prescriptions", case.body, told)
    fields = [one["field"] for one in answer.get("errors", [])] if status == REFUSAL else []
    if status == CREATED and not case.wrong:
        case.key = answer["prescription_id"]
    elif status not in (CREATED, REFUSAL):
        told.broken.append(f"crash: {status} to {case.body['mail_to']!r}")
    elif fields != [case.wrong]:
        told.broken.append(f"the door: {status} naming {fields} and not {case.wrong!r}, to {case.body['mail_to']!r}")


def _put(stack: Stack, case: Case, told: Told) -> None:
    status, _ = _ask(stack, "PUT", f"/prescriptions/{case.key}", case.body, told)
    if status != DONE:
        told.broken.append(f"crash: {status} to a change of {case.key}")


def _delete(stack: Stack, case: Case, told: Told) -> None:
    status, _ = _ask(stack, "DELETE", f"/prescriptions/{case.key}", None, told)
    if status != GONE:
        told.broken.append(f"crash: {status} to a deletion of {case.key}")


def _ask(stack: Stack, method: str, path: str, wanted: Any, told: Told) -> tuple[int, Any]:
    """Asks until it is known what became of it: a machine that is busy is nobody's crash."""
    key = {"Idempotency-Key": str(uuid4())}
    for _ in range(PATIENCE):
        status, answer = stack.ask(method, path, wanted, key)
        told.statuses[status] += 1
        if status not in NOT_KNOWN:
            break
        time.sleep(0.5)
    return status, answer


def _id(key: int, version: int, kind: str) -> str:
    return f"<prescription.{key}.{version}.{kind}@{DOMAIN}>"


def _known(letter: Taken) -> str:
    """The name of a letter without the moment that its version was written."""
    return WRITTEN.sub("@", letter.message_id)


def _arrive(relay: RelayProcess, count: int, scenario: Scenario) -> None:
    """Returns once so many letters have arrived, or never will; what is missing is found later."""
    try:
        wait_until(lambda: relay.count >= count, LONGEST)
    except TimeoutError:
        scenario.tell(f"{relay.count} of {count} letters arrived")
    scenario.tell(f"{relay.count} letters")
