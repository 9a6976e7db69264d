"""Looks at a service's endpoints side by side, and takes away who does worse than the others."""

from collections.abc import Callable, Sequence

from mesh.clock import Clock
from mesh.decide.ejection import Change, judge
from mesh.endpoints.endpoint import Endpoint
from mesh.events import EjectionChanged, Events, WouldHave
from mesh.policy import EjectionPolicy


class Outliers:
    """Carries out what `mesh.decide.ejection` decides."""

    def __init__(self, service: str, policy: EjectionPolicy, clock: Clock, events: Events) -> None:
        self._service, self._policy, self._clock, self._events = service, policy, clock, events

    async def keep_looking(self, known: Callable[[], Sequence[Endpoint]]) -> None:
        """Looks again and again, until it is cancelled."""
        while self._policy.mode != "off":
            await self._clock.sleep(self._policy.interval)
            self.look(known())

    def look(self, endpoints: Sequence[Endpoint]) -> None:
        """Looks once."""
        now = self._clock.now()
        changes = judge(self._policy, [endpoint.judged(now) for endpoint in endpoints], now)
        if self._policy.mode == "enforce":
            self._carry_out(endpoints, changes)
        for change in changes:
            self._tell(change)

    def _carry_out(self, endpoints: Sequence[Endpoint], changes: Sequence[Change]) -> None:
        back = {change.address for change in changes if change.before == "ejected"}
        for endpoint in endpoints:
            endpoint.load.share = endpoint.standing.weight
            endpoint.load.ejected = endpoint.standing.state == "ejected"
            if endpoint.address in back:
                endpoint.returned()

    def _tell(self, change: Change) -> None:
        address, before, after, reason = change
        if self._policy.mode == "enforce":
            self._events.emit(EjectionChanged(self._service, address, before, after, reason))
        else:
            self._events.emit(WouldHave(self._service, "ejection", f"had it {after}, not {before}", reason, address))
