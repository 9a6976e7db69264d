"""Did the clinic keep its word? Pure: what clients saw and what is stored at the end go in, findings come out.

A client knows of each write that it was acknowledged, refused, or that its outcome is unknown. Unknown ones may be
there or not; everything else is decided. Each write carries a mark of its own, so that the store tells whose it is.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"

Place = tuple[str, int]
"""A collection and an id in it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of one client.

    Attributes:
        number: in the order in which the clients began.
        kind: "post", "put" or "delete".
        collection: "records" or "prescriptions".
        mark: what it writes, unique; "" for a delete.
        key: its Idempotency-Key; copies of one write share it.
        document: the id that it aims at; 0 for a post.
        expected: the version in its If-Match; 0 for none.
        outcome: OK, REFUSED or UNKNOWN.
        status: of the answer; 0 where there was none.
        id, version: what the answer says; 0 where it says nothing.
        answer: status, headers and body that a repeated call must get again.
        patient: whose document it is.
    """

    number: int
    client: int
    kind: str
    collection: str
    mark: str
    key: str
    document: int
    expected: int
    outcome: str
    status: int
    id: int = 0
    version: int = 0
    answer: str = ""
    patient: int = 0

    @property
    def place(self) -> Place:
        return self.collection, self.id or self.document


class Version(NamedTuple):
    """One entry of a history."""

    version: int
    mark: str
    deleted: bool


class Finding(NamedTuple):
    """A broken promise: which, where, and the calls and versions that show it."""

    check: str
    told: str
    witness: tuple[str, ...]


Histories = Mapping[Place, Sequence[Version]]
"""Every version of every document, oldest first."""
Listed = Mapping[Place, int]
"""The version that lists show of every document that they show."""


def check(operations: Sequence[Operation], histories: Histories, listed: Listed) -> list[Finding]:
    """Every broken promise, the one with the smallest witness first."""
    story = _Story(operations, histories, listed)
    return sorted(story.findings(), key=lambda finding: len(finding.witness))


class _Story:
    def __init__(self, operations: Sequence[Operation], histories: Histories, listed: Listed) -> None:
        self._operations, self._histories, self._listed = operations, histories, listed
        self._by_place: dict[Place, list[Operation]] = defaultdict(list)
        self._by_mark: dict[tuple[str, str], list[Operation]] = defaultdict(list)
        self._by_key: dict[tuple[str, str], list[Operation]] = defaultdict(list)
        for operation in operations:
            self._by_place[operation.place].append(operation)
            self._by_key[operation.kind, operation.key].append(operation)
            if operation.mark:
                self._by_mark[operation.collection, operation.mark].append(operation)

    def findings(self) -> Iterator[Finding]:
        yield from self._acknowledged_and_refused()
        yield from self._of_documents()
        yield from self._of_marks()
        yield from self._of_versions()
        yield from self._of_deletions()
        yield from self._of_keys()

    def _acknowledged_and_refused(self) -> Iterator[Finding]:
        stored = {(place[0], version.mark) for place, versions in self._histories.items() for version in versions}
        for operation in self._operations:
            if operation.outcome == OK and not self._kept(operation):
                yield self._finding("acknowledged write present", operation, "was acknowledged and is not stored so")
            if operation.mark and self._refused(operation) and (operation.collection, operation.mark) in stored:
                yield self._finding("refused write absent", operation, "was refused and is stored")

    def _refused(self, operation: Operation) -> bool:
        # A copy of the same write under the same key may have been kept.
        copies = self._by_key[operation.kind, operation.key]
        return all(copy.outcome == REFUSED for copy in copies)

    def _kept(self, operation: Operation) -> bool:
        for version in self._histories.get(operation.place, ()):
            if operation.kind == "delete" and version.deleted:
                return True
            if version.version == operation.version and version.mark == operation.mark and not version.deleted:
                return True
        return False

    def _of_documents(self) -> Iterator[Finding]:
        for place, versions in self._histories.items():
            numbers = [version.version for version in versions]
            if numbers != list(range(1, len(numbers) + 1)):
                yield self._at("history without gaps", place, f"has the versions {numbers}")
            if any(version.deleted for version in versions[:-1]):
                yield self._at("deleted stays deleted", place, "goes on after its deletion")
            shown = 0 if not versions or versions[-1].deleted else versions[-1].version
            if self._listed.get(place, 0) != shown:
                yield self._at(
                    "lists show the newest", place, f"is listed as {self._listed.get(place, 0)}, not {shown}"
                )
        for place in self._listed.keys() - self._histories.keys():
            yield self._at("lists show the newest", place, "is listed and has no history")

    def _of_marks(self) -> Iterator[Finding]:
        times = Counter(
            (place[0], version.mark)
            for place, versions in self._histories.items()
            for version in versions
            if not version.deleted
        )
        for (collection, mark), count in times.items():
            senders = self._by_mark.get((collection, mark), [])
            if count > 1:
                yield self._told("nothing twice", f"{mark} is stored {count} times", senders)
            if not senders:
                yield self._told("nothing foreign", f"{mark} in {collection} was sent by nobody", [])

    def _of_versions(self) -> Iterator[Finding]:
        winners: dict[tuple[Place, int], Operation] = {}
        for operation in self._operations:
            if operation.outcome != OK or operation.kind != "put":
                continue
            if operation.expected and operation.version != operation.expected + 1:
                yield self._finding("the expected version was replaced", operation, "replaced another version")
            first = winners.setdefault((operation.place, operation.version), operation)
            if first.key != operation.key:
                yield self._told("one winner a version", f"two writes made {operation.place}", [first, operation])

    def _of_deletions(self) -> Iterator[Finding]:
        for place, versions in self._histories.items():
            asked = [operation for operation in self._by_place[place] if operation.kind == "delete"]
            done = {operation.key: operation for operation in asked if operation.outcome == OK}
            hidden = [version.version for version in versions if version.deleted]
            if hidden and not asked:
                yield self._at("nothing foreign", place, "was deleted and nobody asked for it")
            elif hidden and all(self._refused(operation) for operation in asked):
                yield self._at("refused write absent", place, "was deleted and every deletion was refused")
            if len(done) > 1:
                yield self._told("nothing twice", f"{place} was deleted {len(done)} times", list(done.values()))
            for operation in done.values():
                if operation.expected and hidden and operation.expected + 1 not in hidden:
                    yield self._finding("the expected version was replaced", operation, "hid another version")

    def _of_keys(self) -> Iterator[Finding]:
        answers: dict[tuple[str, str], Operation] = {}
        for operation in self._operations:
            if operation.outcome == OK:
                first = answers.setdefault((operation.kind, operation.key), operation)
                if first.answer != operation.answer:
                    yield self._told("one answer a key", "a repeated call got another answer", [first, operation])

    def _finding(self, name: str, operation: Operation, told: str) -> Finding:
        sentence = f"{operation.kind} {operation.mark or operation.document} {told}"
        if operation.place[1]:
            return self._at(name, operation.place, sentence)
        return self._told(name, sentence, self._by_mark[operation.collection, operation.mark])

    def _at(self, name: str, place: Place, told: str) -> Finding:
        versions = [f"stored: {version}" for version in self._histories.get(place, ())]
        calls = [str(operation) for operation in self._by_place[place]]
        return Finding(name, f"{place[0]} {place[1]}: {told}", (*calls, *versions))

    @staticmethod
    def _told(name: str, told: str, operations: Sequence[Operation]) -> Finding:
        return Finding(name, told, tuple(str(operation) for operation in operations))
