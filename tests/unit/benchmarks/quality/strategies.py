"""What tests draw: intervals with scores, and lists of them."""

from __future__ import annotations

from hypothesis import strategies as st

from benchmarks.quality.metrics import Interval

intervals = st.builds(
    lambda start, length, score: Interval(start=start, end=start + length, score=score),
    st.floats(0, 1000),
    st.floats(1, 60),
    st.floats(0, 1),
)
lists = st.lists(intervals, max_size=8)
