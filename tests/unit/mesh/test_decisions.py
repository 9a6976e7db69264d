"""Backoff, and how much may come at once."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mesh.decide.backoff import full_jitter
from mesh.decide.bucket import Bucket


@given(st.integers(1, 2000), st.integers())
def test_a_pause_is_never_negative_and_never_above_its_bound(attempt: int, seed: int) -> None:
    """A pause outside its bound would either hammer an ailing service or waste the deadline."""
    pause = full_jitter(attempt, base=0.025, cap=0.25, rng=Random(seed))
    assert 0.0 <= pause <= min(0.25, 0.025 * 2.0 ** min(attempt - 1, 20))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3))), st.integers(1, 9), st.integers(1, 50))
def test_a_bucket_gives_what_it_holds_and_what_comes_back_and_no_more(
    asked: list[tuple[int, int]], rate: int, size: int
) -> None:
    """More would let a flood through, less would cut off somebody who keeps within it."""
    bucket, now, held = Bucket(rate, size, 0), 0, size
    for count, pause in asked:
        now, held = now + pause, min(size, held + rate * pause)
        assert bucket.take(count, now) is (count <= held)
        held -= count if count <= held else 0
