"""Clients that write, remember what they were told, and never take an unknown outcome for a known one."""

import asyncio
from collections.abc import Sequence
from random import Random
from uuid import UUID

import aiohttp

from tests.faults.asking import Log, Write, ask
from tests.faults.checker import OK, UNKNOWN, Operation

COPIES = 12  # tries of one write under one key, until its outcome is known
REPEATED = 0.1  # share of acknowledged writes that are sent again under their key


class Client:
    """Writes for its own patients through all gateways, until told to stop."""

    def __init__(self, number: int, urls: Sequence[str], seed: int, log: Log, http: aiohttp.ClientSession) -> None:
        self._number, self._urls, self._log, self._http = number, urls, log, http
        self._rng = Random(f"{seed} client {number}")
        self._living: list[tuple[str, int, int, int]] = []  # collection, id, version as far as known, patient
        self._patients = range(1000 + 20 * number, 1020 + 20 * number)
        self._marks = 0

    @property
    def patients(self) -> range:
        return self._patients

    async def run(self, enough: int) -> None:
        """Until so many writes of all clients together were acknowledged."""
        while self._log.acknowledged < enough:
            await self.write()

    async def write(self) -> None:
        """One write, drawn, sent until its outcome is known."""
        await self._until_known(self._next())

    def _next(self) -> Write:
        self._marks += 1
        mark, key = f"mark-{self._number}-{self._marks}", str(UUID(int=self._rng.getrandbits(128), version=4))
        draw = self._rng.random()
        if draw < 0.5 or not self._living:  # half of the writes make something new
            collection = self._rng.choice(("records", "prescriptions"))
            return Write("post", collection, mark, key, self._rng.choice(self._patients))
        chosen = self._rng.randrange(len(self._living))
        collection, document, version, patient = self._living[chosen]
        if draw > 0.95:  # one in twenty deletes
            del self._living[chosen]
            return Write("delete", collection, "", key, patient, document, version)
        expected = version if self._rng.random() < 0.7 else 0  # most say what they expect to replace
        return Write("put", collection, mark, key, patient, document, expected)

    async def _until_known(self, write: Write) -> None:
        for _ in range(COPIES):
            done = await self._send(write)
            if done.outcome != UNKNOWN:
                break
            await asyncio.sleep(self._rng.uniform(0, 0.3))
        if done.outcome == OK:
            self._log.acknowledged += 1
            self._remember(write, done)
            if self._rng.random() < REPEATED:
                await self._send(write)
        elif done.status == 0 or done.status >= 500:  # not everybody rushes back at once
            await asyncio.sleep(self._rng.uniform(0, 0.3))

    def _remember(self, write: Write, done: Operation) -> None:
        if write.kind == "delete":
            return
        known = [each for each in self._living if each[:2] != (write.collection, done.id)]
        self._living = [*known, (write.collection, done.id, done.version, write.patient)][-50:]

    async def _send(self, write: Write) -> Operation:
        outcome, answer = await ask(self._http, self._rng.choice(self._urls), write)
        return self._log.add(self._number, write, outcome, answer)
