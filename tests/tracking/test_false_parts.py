from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agss_model.tracking.parts import APART, FAR, PLAIN, UNLIKE, UNLIKE_FAR, false_parts

CELL, SIZE = 4, (40, 80)
CELLS = SIZE[0] // CELL * (SIZE[1] // CELL)


def mask(*squares):
    """(40, 80) bool with a square for each (x, y, side)."""
    out = np.zeros(SIZE, dtype=bool)
    for x, y, side in squares:
        out[y : y + side, x : x + side] = True
    return out


def alike(*objects):
    """A resemblance that is, for each object, a default and a value for each square."""

    def tell(cells):
        told = []
        for default, *squares in objects:
            everywhere = np.full(SIZE, default, dtype=np.float32)
            for (x, y, side), value in squares:
                everywhere[y : y + side, x : x + side] = value
            told.append(everywhere.reshape(SIZE[0] // CELL, CELL, -1, CELL).mean((1, 3)).flatten()[cells])
        return np.stack(told)

    return tell


BODY, GHOST, FAR_GHOST = (8, 8, 12), (28, 8, 8), (60, 24, 8)


def test_a_part_that_no_human_drew_goes_and_the_object_stays():
    found = mask(BODY, GHOST)[None]
    assert np.array_equal(false_parts(found, CELL, alike((0, (BODY, 0.5), (GHOST, 0.05))))[0], mask(GHOST))
    assert not false_parts(found, CELL, alike((0, (BODY, 0.5), (GHOST, 0.3)))).any()


def test_the_object_is_what_resembles_it_and_not_what_is_large():
    small, large = (8, 8, 8), (28, 8, 20)
    false = false_parts(mask(small, large)[None], CELL, alike((0, (small, 0.8), (large, 0.0))))
    assert np.array_equal(false[0], mask(large))


def test_what_is_far_away_has_to_resemble_more():
    between = 0.5 * (UNLIKE + UNLIKE_FAR)
    found = mask(BODY, GHOST, FAR_GHOST)[None]
    tell = alike((0, (BODY, 1.0), (GHOST, between), (FAR_GHOST, between)))
    assert 8 / 12 < FAR < 30 / 12
    assert np.array_equal(false_parts(found, CELL, tell)[0], mask(FAR_GHOST))


def test_a_part_that_hardly_stands_apart_belongs_to_the_object():
    body, leg = (4, 4, 24), (29, 4, 8)  # one pixel between them
    assert APART > 2 / 24
    assert not false_parts(mask(body, leg)[None], CELL, alike((0, (body, 0.9)))).any()


def test_nothing_is_concluded_of_a_side_that_no_human_drew():
    found = mask(BODY, GHOST)[None]
    assert not false_parts(found, CELL, alike((0, (BODY, PLAIN / 2)))).any()


def test_objects_are_judged_apart_and_whole_ones_are_not_looked_at():
    asked = []

    def tell(cells):
        asked.append(cells)
        return alike((0, (BODY, 1)), (0, (BODY, 1)), (0, (GHOST, 1)))(cells)

    found = np.stack([mask(BODY), mask(BODY, GHOST), mask(BODY, GHOST)])
    false = false_parts(found, CELL, tell)
    assert np.array_equal(false, np.stack([mask(), mask(GHOST), mask(BODY)]))
    assert len(asked) == 1
    assert len(asked[0]) == (12 // CELL) ** 2 + (8 // CELL) ** 2


def test_nothing_is_asked_where_all_are_whole():
    def tell(cells):
        raise AssertionError("asked")

    assert not false_parts(np.stack([mask(BODY), mask()]), CELL, tell).any()


@given(hnp.arrays(bool, (2, 16, 24)), st.integers(0, 2**32 - 1))
def test_of_no_object_everything_goes(found, seed):
    told = np.random.default_rng(seed).random((2, 4 * 6), dtype=np.float32)
    false = false_parts(found, CELL, lambda cells: told[:, cells])
    assert not (false & ~found).any()
    assert ((found & ~false).any((1, 2)) == found.any((1, 2))).all()
