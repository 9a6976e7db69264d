"""`caremesh restart` under load: real processes, and callers who notice nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from mesh.call import methods_of
from mesh.client import ServiceClient
from mesh.endpoints import Leases, Source, Static
from mesh.errors import MeshError
from mesh.events import Events
from protos.codec import Codec
from protos.generated.caremesh import v1 as pb
from protos.generated.levels import LEVELS
from tests.fakes.haproxy import haproxy
from tests.fakes.waiting import until, wait_until
from tests.upped import Up, healthy

RECORD: dict[str, Any] = {"patient_id": 7, "doctor_id": 3, "record_text": "Mild asthma.", "date": "2025-04-14"}
PAUSE = 0.05  # seconds between two requests of a caller: the machine is there for others, too
LEAST = 50  # calls of each kind before something is restarted, and after


@asynccontextmanager
async def under_load(told: "Counter[str]", *askers: Callable[[], Awaitable[str]]) -> AsyncIterator[None]:
    """Each asks again and again while the block lasts; what it was told is counted."""

    async def ask(asker: Callable[[], Awaitable[str]]) -> None:
        while not over:
            told[await asker()] += 1
            await asyncio.sleep(PAUSE)

    over: list[bool] = []
    async with asyncio.TaskGroup() as group:
        for asker in askers:
            group.create_task(ask(asker))
        await until(lambda: told.total() >= LEAST)
        yield
        before = told.total()
        await until(lambda: told.total() >= before + LEAST)
        over.append(True)


def records(source: Source) -> ServiceClient:
    methods = methods_of(pb.PatientRecordsServiceBase, LEVELS)
    return ServiceClient("records", methods=methods, source=source, events=Events(), codec=Codec())


def writes(client: ServiceClient) -> Callable[[], Awaitable[str]]:
    """Without a key: what is lost or refused on the way is repeated by nobody."""

    async def write() -> str:
        try:
            await client.call("PostPatientRecords", pb.PatientRecord(**RECORD), timeout=20)
        except MeshError as error:
            return error.reason
        return "ok"

    return write


def changed(before: Up, kinds: set[str], pids: dict[str, int]) -> bool:
    """Whether all of these kinds, and no others, run in processes of their own anew."""
    return {one.kind for one in before.state.processes if one.pid != pids[one.name]} == kinds


async def test_no_call_fails_while_each_process_of_a_service_is_started_again(tmp_path: Path) -> None:
    """New code comes to a clinic at work. One caller follows the registry, one knows nothing but two addresses."""
    told: Counter[str] = Counter()
    with Up(tmp_path) as up:
        await asyncio.to_thread(up.ready)
        await asyncio.to_thread(wait_until, lambda: healthy(up))
        pids = {one.name: one.pid or 0 for one in up.state.processes}
        places = {one.name: one.address for one in up.state.processes}
        async with (
            records(Leases([places["registry.1"]])) as following,
            records(Static([places["records.1"], places["records.2"]])) as fixed,
        ):
            await until(lambda: all(len(client.endpoints()) == 2 for client in (following, fixed)))
            async with under_load(told, *[writes(following)] * 3, *[writes(fixed)] * 2):
                done = await asyncio.to_thread(up.run, "restart", "records")
        assert done.returncode == 0, done.stderr
        assert changed(up, {"records"}, pids)
    assert set(told) == {"ok"}
    assert not any("did not end" in line for line in up.lines)


async def test_no_request_fails_while_the_whole_clinic_is_started_again_behind_a_balancer(tmp_path: Path) -> None:
    """Gateways, too: the balancer sees that one is about to go before it does."""
    told: Counter[str] = Counter()
    with Up(tmp_path, gateways=2) as up:
        await asyncio.to_thread(up.ready)
        await asyncio.to_thread(wait_until, lambda: healthy(up))
        pids = {one.name: one.pid or 0 for one in up.state.processes}
        gateways = [one.address for one in up.state.processes if one.kind == "gateway"]
        with haproxy(tmp_path, gateways) as url:
            async with aiohttp.ClientSession() as http:

                async def write() -> str:
                    async with http.post(f"{url}/records", json=RECORD) as answer:
                        return f"write {answer.status}"

                async def read() -> str:
                    async with http.get(f"{url}/patients/7/prescriptions") as answer:
                        return f"read {answer.status}"

                async with under_load(told, *[write] * 3, *[read] * 2):
                    done = await asyncio.to_thread(up.run, "restart")
        assert done.returncode == 0, done.stderr
        assert changed(up, {"registry", "mail-sink", "records", "prescriptions", "gateway"}, pids)
    assert set(told) == {"write 201", "read 200"}


def test_where_nothing_runs_there_is_nothing_to_start_again(tmp_path: Path) -> None:
    """And it says what would."""
    done = Up(tmp_path).run("restart", "records")
    assert (done.returncode, "`caremesh up` starts it" in done.stderr) == (1, True)
