"""The rate of a step and the time it still takes, from this attempt alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.pace import pace


def test_a_first_attempt() -> None:
    found = pace(before=0, reached=500, total=2000, seconds=5.0)
    assert found.rate == 100.0
    assert found.seconds_left == 15.0


def test_what_was_done_before_a_resume_makes_it_no_faster() -> None:
    found = pace(before=900_000, reached=901_000, total=1_000_000, seconds=10.0)
    assert found.rate == 100.0
    assert found.seconds_left == 990.0


def test_a_resumed_attempt_counts_from_where_it_really_is() -> None:
    # 800 were shown as done, but the batch was rolled back and stands at 100 again
    assert pace(before=0, reached=100, total=1000, seconds=1.0).seconds_left == 9.0


@pytest.mark.parametrize(
    ("reached", "total", "seconds"), [(0, 10, 5.0), (5, 10, 0.1), (5, 10, None), (5, 10, 0.0)]
)
def test_too_little_is_known(reached: int, total: int, seconds: float | None) -> None:
    found = pace(before=0, reached=reached, total=total, seconds=seconds)
    assert (found.rate, found.seconds_left) == (None, None)


@pytest.mark.parametrize("total", [None, 50, 40])
def test_the_end_is_not_known(total: int | None) -> None:
    found = pace(before=0, reached=50, total=total, seconds=10.0)
    assert found.rate == 5.0
    assert found.seconds_left is None


@given(
    before=st.integers(0, 10**9),
    done=st.integers(1, 10**9),
    left=st.integers(1, 10**9),
    seconds=st.floats(0.5, 10**6),
)
def test_the_rest_at_this_rate(before: int, done: int, left: int, seconds: float) -> None:
    reached = before + done
    found = pace(before=before, reached=reached, total=reached + left, seconds=seconds)
    assert found.rate is not None
    assert found.seconds_left is not None
    assert found.rate * found.seconds_left == pytest.approx(left)
