from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agss_model.evaluation.trust import auc, calibration_error, judged, together
from agss_model.runs.scores import Row

PAIRS = st.lists(st.tuples(st.integers(0, 10).map(lambda n: n / 10), st.booleans()), min_size=1, max_size=30)


@given(PAIRS)
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs):
    scores, bad = np.array([s for s, _ in pairs]), np.array([b for _, b in pairs])
    found = auc(scores, bad)
    orders = [float(b < g) + 0.5 * float(b == g) for b, g in itertools.product(scores[bad], scores[~bad])]
    assert found == (pytest.approx(np.mean(orders)) if orders else None)


@pytest.mark.parametrize(
    ("scores", "ious", "error"),
    [
        ([0.9, 0.9], [0.9, 0.9], 0.0),
        ([0.9, 0.9], [1.0, 0.8], 0.0),  # right on the average
        ([0.9, 0.9], [0.5, 0.5], 0.4),
        ([0.1, 0.9], [0.3, 0.9], 0.1),  # half of them by 0.2
        ([1.0], [0.0], 1.0),
    ],
)
def test_calibration_error_by_hand(scores, ious, error):
    assert calibration_error(np.array(scores), np.array(ious)) == pytest.approx(error)


def test_the_list_is_judged_by_what_it_names():
    rows = [Row(n, 1, score, False, (), False, 9) for n, score in enumerate((0.1, 0.2, 0.95, 0.95, 0.2))]
    rows.append(Row(5, 1, 1.0, False, (), True, 9))  # given by a person: not judged
    ious = {(1, n): iou for n, iou in enumerate((0.2, 0.9, 0.3, 0.9, 0.9, 1.0))}
    trust = together([judged(rows, ious)])
    assert trust is not None
    assert trust.masks == 5
    assert trust.named_bad == 1.0  # frame 2 lies between low ones
    assert trust.named_good == 1.0
    assert trust.auc_bad == pytest.approx(auc(np.array([0.1, 0.2, 0.95, 0.95, 0.2]), np.array([1, 0, 1, 0, 0], bool)))


def test_nothing_to_judge_is_no_judgement():
    assert together([]) is None
    assert together([judged([Row(0, 1, 1.0, False, (), True, 9)], {(1, 0): 1.0})]) is None
