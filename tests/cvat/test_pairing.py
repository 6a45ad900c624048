from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agss_model.cvat.pairing import paired, relative

SQUARE = np.array([[0, 0], [40, 0], [40, 40], [0, 40]], float)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (SQUARE + 7, True),
        (SQUARE * 3, True),
        (np.roll(SQUARE, 1, axis=0), True),  # turned: positions along the outline are the same
        (SQUARE[:3], False),
        # Half along the square is its third corner, and here the fourth one is nearer than the third.
        (np.array([[0, 0], [40, 0], [40, 1], [40, 40]], float), False),
    ],
)
def test_vertices_of_one_number_are_paired_where_they_lie_at_like_places_along_the_outline(other, expected):
    assert paired(SQUARE, other) is expected


@given(st.integers(0, 10_000), st.integers(3, 9))
def test_the_neighbours_decide_as_all_vertices_would(seed, count):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 6.28, count))
    one, two = (
        np.stack([np.cos(a), np.sin(a)], 1) * 100 for a in (angles, np.sort(angles + rng.uniform(-0.2, 0.2, count)))
    )
    a, b = relative(one), relative(two)
    perimeter = min(np.hypot(*(np.roll(ring, -1, 0) - ring).T).sum() for ring in (one, two))
    apart = np.abs(a[:, None] - b[None])
    meant = np.diagonal(apart) + 0.5 / perimeter
    np.fill_diagonal(apart, np.inf)
    assert paired(one, two) is bool((meant < apart.min(1)).all())
