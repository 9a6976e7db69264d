"""Who goes first where there is not room for all."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.decide.turns import ORDER, Turns, Waiting
from mesh.policy import AdmissionPolicy
from mesh.policy.methods import Priority

POLICY = AdmissionPolicy()
END = float("inf")


def waiting(name: str, priority: Priority = "normal", since: float = 0.0, deadline: float = END) -> Waiting:
    return Waiting(priority, since, deadline, name)


def names(turns: Turns, now: float) -> list[str]:
    """Those whose turn it is, one after the other."""
    found = list[str]()
    while (following := turns.next(100, 0, now)[0]) is not None:
        found.append(following.ticket)
    return found


def test_writes_go_before_reads_and_reads_before_what_can_wait() -> None:
    """A write that is refused is work that a person does again; a history is asked for once more."""
    turns = Turns(POLICY)
    for name, priority in (("history", "low"), ("read", "normal"), ("write", "high"), ("read 2", "normal")):
        assert turns.join(waiting(name, priority), 9, 0.0) == []  # type: ignore[arg-type]
    assert names(turns, 0.0) == ["write", "read", "read 2", "history"]


def test_once_somebody_is_refused_the_newest_goes_first() -> None:
    """Its caller is the one who will still be there for the answer."""
    turns = Turns(POLICY)
    for name in "abc":
        turns.join(waiting(name), 3, 0.0)
    (let_go,) = turns.join(waiting("d"), 3, 0.0)
    assert (let_go[0].ticket, let_go[1]) == ("a", "displaced")
    assert names(turns, 0.0) == ["d", "c", "b"]
    for name in "ef":
        turns.join(waiting(name, since=POLICY.calm), 3, POLICY.calm)
    assert names(turns, POLICY.calm) == ["e", "f"]


def test_nobody_displaces_those_that_go_before_it() -> None:
    """Bulk reads must not push writes out."""
    turns = Turns(POLICY)
    turns.join(waiting("write", "high"), 1, 0.0)
    (let_go,) = turns.join(waiting("history", "low"), 1, 0.0)
    assert (let_go[0].ticket, let_go[1]) == ("history", "no_room")
    (let_go,) = turns.join(waiting("write 2", "high"), 1, 0.0)
    assert (let_go[0].ticket, let_go[1]) == ("write", "displaced")


def test_expired_work_leaves_before_anybody_else_must() -> None:
    """Nobody waits for it; to do it, or to refuse another for it, would be a waste."""
    turns = Turns(POLICY)
    turns.join(waiting("write", "high", deadline=1.0), 2, 0.0)
    turns.join(waiting("read"), 2, 0.0)
    turns.join(waiting("read 2", since=1.0), 9, 1.0)
    late = Turns(POLICY)
    late.join(waiting("expired", "high", deadline=1.0), 2, 0.99)
    late.join(waiting("read", since=0.99), 2, 0.99)
    ((let_go, why),) = late.join(waiting("read 2", since=1.0), 2, 1.0)
    assert (let_go.ticket, why) == ("expired", "expired_waiting")
    assert len(late) == 2


JOINS = st.tuples(st.just("join"), st.sampled_from(ORDER), st.floats(0, 0.3))
STEPS = JOINS | st.tuples(st.just("next"), st.just("normal"), st.just(0.0))


@given(st.lists(st.tuples(STEPS, st.floats(0, 0.05)), max_size=200), st.integers(1, 6))
def test_everybody_gets_a_turn_or_is_let_go_of_and_never_both(
    steps: list[tuple[tuple[str, Priority, float], float]], most: int
) -> None:
    """One that is forgotten waits for ever; one that is told twice breaks its task."""
    turns, now, joined, gone = Turns(POLICY), 0.0, list[int](), list[int]()
    for (what, priority, patience), seconds in steps:
        now += seconds
        if what == "join":
            joined.append(len(joined))
            over = turns.join(Waiting(priority, now, now + patience, joined[-1]), most, now)
        else:
            following, over = turns.next(100, 0, now)
            gone += [following.ticket] if following else []
            assert following is None or following.deadline > now
        gone += [each.ticket for each, _ in over]
        assert len(turns) <= most
        assert len(turns) + len(gone) == len(joined)
    assert len(set(gone)) == len(gone)


def test_while_somebody_is_refused_some_room_is_left_for_those_that_go_first() -> None:
    """A write that finds all places taken by reads waits for one of them, and may wait too long."""
    turns = Turns(POLICY)
    assert [turns.room(priority, 20, 0.0) for priority in ORDER] == [20, 20, 20]
    turns.join(waiting("a"), 0, 0.0)
    assert [turns.room(priority, 20, 0.0) for priority in ORDER] == [20, 16, 14]
    assert [turns.room(priority, 1, 0.0) for priority in ORDER] == [1, 1, 1]
    for name, priority in (("history", "low"), ("read", "normal"), ("write", "high")):
        turns.join(waiting(name, priority), 9, 0.0)  # type: ignore[arg-type]
    assert turns.next(20, 20, 0.0)[0] is None
    turn = [turns.next(20, taken, 0.0)[0] for taken in (19, 16, 15, 14, 13)]
    assert [each and each.ticket for each in turn] == ["write", None, "read", None, "history"]
