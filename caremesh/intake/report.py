"""What became of the rows: counted while it goes on, told at the end. Never a text of a patient."""

from collections import Counter, defaultdict
from enum import StrEnum

PLACES = 5  # rows named for each reason


class Outcome(StrEnum):
    """What became of one row."""

    ADDED = "added"
    PRESENT = "already there"
    # An attempt got no answer, the next found the row: written by this run or before, and there once.
    FOUND = "there after an unanswered attempt"
    REFUSED = "refused"
    FAILED = "failed"


class Report:
    """Counts by group and outcome, and the reasons of what was not taken."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.counts: Counter[tuple[str, Outcome]] = Counter()
        self._reasons: defaultdict[str, list[str]] = defaultdict(list)
        self._seen: Counter[str] = Counter()

    def count(self, group: str, outcome: Outcome) -> None:
        """One row more."""
        self.counts[group, outcome] += 1

    def reason(self, text: str, where: str) -> None:
        """Why the row at that place was not taken."""
        self._seen[text] += 1
        if len(self._reasons[text]) < PLACES:
            self._reasons[text].append(where)

    def of(self, outcome: Outcome) -> int:
        """How many rows ended so."""
        return sum(count for (_, other), count in self.counts.items() if other is outcome)

    @property
    def done(self) -> int:
        """How many rows have ended in any way."""
        return self.counts.total()

    @property
    def clean(self) -> bool:
        """Whether every row is in the clinic now."""
        return self.done == self.total and not self.of(Outcome.REFUSED) and not self.of(Outcome.FAILED)

    def summary(self) -> str:
        """One line: "added 10, already there 5, …"."""
        always = (Outcome.ADDED, Outcome.PRESENT, Outcome.REFUSED)
        return ", ".join(f"{one} {self.of(one):,}" for one in Outcome if one in always or self.of(one))

    def lines(self) -> list[str]:
        """The whole report: a line a group, then a line a reason."""
        groups = sorted({group for group, _ in self.counts})
        width = max(map(len, groups), default=0)
        told = [f"{group:<{width}}  {self._told(group)}" for group in groups]
        return [*told, *(self._why(text) for text in self._reasons)]

    def _told(self, group: str) -> str:
        return ", ".join(f"{one} {count:,}" for one in Outcome if (count := self.counts[group, one]))

    def _why(self, text: str) -> str:
        places, count = self._reasons[text], self._seen[text]
        more = f" and {count - len(places):,} more" if count > len(places) else ""
        return f"not taken: {text}: {', '.join(places)}{more}"
