from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agss_model.cvat.polygons.pairing import best_start, paired, relative

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


def test_the_start_is_where_half_of_what_grows_lies_before_and_half_behind():
    tall = SQUARE * [1, 2]
    turned = [np.roll(ring, -best_start(SQUARE, tall), axis=0) for ring in (SQUARE, tall)]
    apart = [np.abs(relative(one) - relative(two)).max() for one, two in ((SQUARE, tall), turned)]
    assert apart[1] <= apart[0]
    assert apart[1] == min(
        np.abs(relative(np.roll(SQUARE, n, axis=0)) - relative(np.roll(tall, n, axis=0))).max() for n in range(4)
    )
