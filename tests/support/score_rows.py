"""Rows of scores for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from agss_model.runs.scores import Row


def lists_of_rows(*reasons: str, most: int | None = None) -> st.SearchStrategy[list[Row]]:
    """Rows of up to three objects in up to 41 frames, at most one of an object in a frame."""
    row = st.builds(
        Row,
        frame=st.integers(0, 40),
        object_id=st.integers(1, 3),
        score=st.integers(0, 10000).map(lambda n: n / 10000),
        lost=st.booleans(),
        reasons=st.lists(st.sampled_from(reasons), max_size=2).map(tuple),
        human=st.booleans(),
        area=st.integers(0, 99),
    )
    return st.lists(row, unique_by=lambda row: (row.frame, row.object_id), max_size=most)
