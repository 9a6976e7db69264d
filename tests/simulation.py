"""A hundred endpoints that die, stand still, slow down and refuse, in pure time; a seed repeats a run.

python -m tests.simulation 7          prints how the calls of seed 7 ended, and the digest of all that was told
"""

import asyncio
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from grpclib.const import Cardinality, Handler
from grpclib.server import Stream

from mesh.call import Level, Method
from mesh.client import ServiceClient
from mesh.errors import MeshError
from mesh.events import Event, Events
from mesh.testing import Fault, Faults, InMemory, LoopClock, assert_amplification, in_pure_time

SAY = Method("/test.Echo/Say", str, str, Level.NO_SIDE_EFFECTS)
ENDPOINTS, RATE, SECONDS = 100, 200, 20.0
MOST_WRONG = 25
"""Endpoints that are wrong at one time, of all hundred."""


class Echo:
    """Says what it was told."""

    async def say(self, stream: Stream[str, str]) -> None:
        await stream.send_message(await stream.recv_message() or "")

    def __mapping__(self) -> Mapping[str, Handler]:
        return {SAY.path: Handler(self.say, Cardinality.UNARY_UNARY, str, str)}


@dataclass
class Told:
    """What a run told: the digest of all its events, and how its calls ended."""

    ended: Counter[str] = field(default_factory=Counter)
    wrongs: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    calls: int = 0
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def hear(self, event: Event) -> None:
        slots = [name for kind in type(event).__mro__ for name in getattr(kind, "__slots__", ())]
        values = [value for name in slots if not isinstance(value := getattr(event, name), Event)]
        self._digest.update(f"{asyncio.get_running_loop().time():.6f} {type(event).__name__} {values}\n".encode())

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


class Fates:
    """What happens to whom, and when it is over."""

    def __init__(self, service: InMemory, faults: Faults, rng: Random, told: Told) -> None:
        self._service, self._faults, self._rng, self._told = service, faults, rng, told
        self._wrong: dict[str, Fault | None] = {}

    async def go_on(self) -> None:
        """Something goes wrong every third of a second or so."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(self._rng.uniform(0.1, 0.6))
                well = [address for address in self._service.replicas if address not in self._wrong]
                if len(self._wrong) < MOST_WRONG:
                    tasks.create_task(self._befall(self._rng.choice(well)))

    async def _befall(self, address: str) -> None:
        replica, kind = self._service[address], self._rng.choice(["killed", "held", "slow", "refuses", "half"])
        share = {"refuses": 1.0, "half": 0.5}.get(kind)
        at = frozenset({address})
        self._wrong[address] = None if share is None else Fault(share, error="unavailable", endpoints=at)
        self._told.wrongs[kind] += 1
        usual = replica.latency
        act: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "killed": (replica.kill, replica.start),
            "held": (replica.hold, replica.go_on),
            "slow": (
                lambda: setattr(replica, "latency", lambda: 20 * usual()),
                lambda: setattr(replica, "latency", usual),
            ),
        }
        wrong, right = act.get(kind, (self._set, self._set))
        wrong()
        self._set()
        await asyncio.sleep(self._rng.uniform(2, 10))
        del self._wrong[address]
        right()
        self._set()

    def _set(self) -> None:
        self._faults.set(*(fault for fault in self._wrong.values() if fault is not None))


async def run(seed: int, seconds: float = SECONDS) -> Told:
    """A load on a hundred endpoints of which up to a quarter is wrong."""
    clock, events, told = LoopClock(), Events(), Told()

    def rng(name: str) -> Random:
        return Random(f"{seed} {name}")

    service = InMemory(lambda: [Echo()], [f"10.0.0.{number}:1" for number in range(ENDPOINTS)], clock=clock)
    for address, replica in service.replicas.items():
        draws = rng(address)
        replica.latency = lambda draws=draws: draws.lognormvariate(-4.6, 0.3)  # type: ignore[misc]  # 10 ms or so
    faults = Faults(rng=rng("faults"))
    client = ServiceClient(
        "test.Echo",
        methods={"Say": SAY},
        source=service,
        connect=service.connect,
        faults=faults,
        events=events,
        clock=clock,
        rng=rng("client"),
    )
    events.subscribe(told.hear)

    async def call(number: int) -> None:
        try:
            reply = await client.call("Say", f"word {number}", timeout=2.0)
            told.ended["ok" if reply.message == f"word {number}" else "wrong answer"] += 1
        except MeshError as error:
            told.ended[error.reason] += 1

    # The policy's budget: a fifth of the calls, and ten a second.
    with assert_amplification(events, 1.2, spare=10 * seconds) as seen:
        async with client, asyncio.TaskGroup() as tasks:
            fates = tasks.create_task(Fates(service, faults, rng("fates"), told).go_on())
            arrivals, number = rng("arrivals"), 0
            while clock.now() < seconds:
                await asyncio.sleep(arrivals.expovariate(RATE))
                tasks.create_task(call(number))
                number += 1
            await asyncio.sleep(3.0)
            fates.cancel()
    told.calls, told.attempts = seen.calls, seen.attempts
    return told


if __name__ == "__main__":
    told = in_pure_time(run(int(sys.argv[1])))
    print(dict(told.wrongs), dict(told.ended), f"{told.attempts} attempts", told.digest, sep="\n")
