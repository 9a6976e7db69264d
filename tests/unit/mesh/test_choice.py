"""Which of several endpoints is asked."""

from collections import Counter
from dataclasses import dataclass
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.decide.choice import anyone, choose
from mesh.decide.load import Load
from mesh.policy import BalancePolicy

NOW = 1_000.0


@dataclass
class Place:
    address: str
    load: Load


def place(
    address: str, cost: float = 0.0, *, in_flight: int = 0, asked: float = NOW, share: float = 1.0, since: float = 0.0
) -> Place:
    load = Load(BalancePolicy(), 1.5, since)
    load.answered(cost, NOW)
    load.in_flight, load.asked, load.share = in_flight, asked, share
    return Place(address, load)


def shares(*places: Place, calls: int = 4_000, silence: float = inf) -> dict[str, float]:
    """How the calls would be parted, were nothing to change meanwhile."""
    rng = Random(1)
    asked = Counter(choose(places, NOW, rng, silence)[0].address for _ in range(calls))
    return {one.address: asked[one.address] / calls for one in places}


def about(**parts: float) -> object:
    return pytest.approx(parts, abs=0.02)


a_place = st.builds(
    place,
    st.text("abc", min_size=1, max_size=3),
    st.floats(0, 5),
    in_flight=st.integers(0, 5),
    asked=st.floats(NOW - 20, NOW),
    share=st.floats(0.01, 1),
    since=st.floats(NOW - 10, NOW),
)


@given(st.lists(a_place, min_size=1, max_size=6), st.integers(), st.floats(0, 20))
def test_somebody_is_asked_whatever_is_known_of_them(places: list[Place], seed: int, silence: float) -> None:
    """Weights, silence and costs say who, never whether."""
    chosen, choice = choose(places, NOW, Random(seed), silence)
    assert chosen in places
    assert choice.reason in {"only_one", "cheaper", "long_silent", "its_weight"}
    assert len(choice.weighed) == min(2, len(places)) or choice.reason == "only_one"


@given(st.lists(a_place, min_size=2, max_size=6), st.integers())
def test_of_those_with_full_weight_the_dearest_is_never_asked(places: list[Place], seed: int) -> None:
    """Two are compared at least, so whoever is worst in every comparison gets nothing."""
    for one in places:
        one.load.share, one.load._steady = 1.0, 0.0
        one.load.answered(0.5, NOW)
    places[0].load.failed(50.0, NOW)
    assert choose(places, NOW, Random(seed), inf)[0] is not places[0]


def test_equals_are_asked_equally() -> None:
    """A second replica that gets nothing is no replica."""
    assert shares(place("a"), place("b")) == about(a=0.5, b=0.5)
    assert shares(*(place(name, 0.01) for name in "abcd")) == about(a=0.25, b=0.25, c=0.25, d=0.25)


def test_seconds_and_calls_under_way_both_count() -> None:
    """Eight calls of a millisecond are over before two of ten."""
    quick, slow = place("quick", 0.001, in_flight=7), place("slow", 0.010, in_flight=1)
    chosen, choice = choose([quick, slow], NOW, Random(1), inf)
    assert chosen is quick
    assert sorted(choice.weighed) == [("quick", 0.008), ("slow", 0.02)]


def test_whoever_nothing_is_known_of_is_as_good_as_the_other_but_for_its_calls() -> None:
    """Its first calls must neither be all calls nor none."""
    assert shares(place("new"), place("old", 0.01)) == about(new=0.5, old=0.5)
    assert shares(place("new", in_flight=1), place("old", 0.01)) == {"new": 0.0, "old": 1.0}


def test_a_weight_is_the_share_that_is_left_of_ones_calls() -> None:
    """Half the weight, half the calls; the rest is the others'."""
    assert shares(place("a", share=0.5), place("b")) == about(a=0.25, b=0.75)
    parted = shares(place("a", share=0.1), place("b"), place("c"))
    assert 0.02 <= parted["a"] <= 0.05
    assert abs(parted["b"] - parted["c"]) <= 0.03


def test_slow_start_is_skipped_where_all_are_new() -> None:
    """The first seconds of a process are no reason to send every second call to the worse one."""
    one, other = place("a", 0.01, since=NOW), place("b", 0.02, since=NOW)
    assert one.load.weight(NOW) == 0.1
    assert shares(one, other) == {"a": 1.0, "b": 0.0}


def test_the_dearer_one_is_asked_once_after_a_long_silence() -> None:
    """What is known of it is old, and only a call can renew it."""
    ill, well = place("ill", 5.0, asked=NOW - 6), place("well", 0.01)
    chosen, choice = choose([ill, well], NOW, Random(1), 5.0)
    assert (chosen, choice.reason) == (ill, "long_silent")
    ill.load.begin(NOW)
    assert choose([ill, well], NOW + 1, Random(1), 5.0)[0] is well


def test_where_nobody_was_asked_for_long_the_cheaper_one_is_asked() -> None:
    """A service that is called every ten seconds must not try its ill replica every time."""
    ill, well = place("ill", 5.0, asked=NOW - 20), place("well", 0.01, asked=NOW - 10)
    assert choose([ill, well], NOW, Random(1), 5.0)[0] is well


def test_one_that_is_silent_since_it_does_not_answer_gets_no_second_call() -> None:
    """A black hole would get a call each few seconds, and hold each of them."""
    hole, well = place("hole", 5.0, asked=NOW - 6, in_flight=1), place("well", 0.01)
    assert choose([hole, well], NOW, Random(1), 5.0)[0] is well


@given(st.lists(a_place, min_size=1, max_size=6), st.integers())
def test_chance_alone_takes_one_of_them(places: list[Place], seed: int) -> None:
    """Without the policy every endpoint is as good as any other."""
    assert anyone(places, Random(seed)) in places
