"""The relay that takes letters: where it is, one connection for several of them, what became of each."""

from svc_prescriptions.relay.address import RelayAddress, RelayAddressError, relay_address
from svc_prescriptions.relay.link import Link, Relay
from svc_prescriptions.relay.result import Outcome, Result
from svc_prescriptions.relay.session import Patience
from svc_prescriptions.relay.transfer import HandingOver

__all__ = [
    "HandingOver",
    "Link",
    "Outcome",
    "Patience",
    "Relay",
    "RelayAddress",
    "RelayAddressError",
    "Result",
    "relay_address",
]
