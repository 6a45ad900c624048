from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from score_rows import lists_of_rows

from agss_model.review import GAP, LASTING, LOW, look_first, worth_of
from agss_model.runs.scores import Row
from agss_model.tracking.quality import BACK, CROSSING, CUT

ROWS = lists_of_rows("lost", "uncertain", BACK, CUT, CROSSING, most=40)
anyhow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure


def row(frame, score, *reasons, object_id=1, human=False):
    return Row(frame, object_id, score, False, reasons, human, 9)


def frames(stretches):
    return [(stretch.object_id, stretch.first, stretch.last) for stretch in stretches]


@anyhow
@given(ROWS)
def test_every_low_score_is_in_one_stretch_and_no_frame_of_an_object_is_in_two(rows):
    stretches = look_first(rows, limit=None)
    low = {(r.object_id, r.frame): r for r in rows if r.score < LOW and not r.human}
    covered = [(stretch.object_id, n) for stretch in stretches for n in range(stretch.first, stretch.last + 1)]
    assert low.keys() <= set(covered)
    assert len(covered) == len(set(covered))
    for stretch in stretches:
        inside = [r for (object_id, n), r in low.items() if object_id == stretch.object_id
                  and stretch.first <= n <= stretch.last]  # fmt: skip
        if not inside:
            assert stretch.first == stretch.last  # an event
            continue
        assert {stretch.first, stretch.last, stretch.worst_frame} <= {r.frame for r in inside}
        assert stretch.worst == min(r.score for r in inside)
        assert (np.diff(sorted(r.frame for r in inside)) <= GAP).all()
    assert [stretch.gain for stretch in stretches] == sorted((stretch.gain for stretch in stretches), reverse=True)


@anyhow
@given(ROWS)
def test_no_event_is_passed_over(rows):
    """Whatever a reason in `EVENTS` is given for, the frame it begins in is named for one of the objects concerned."""
    stretches = look_first(rows, limit=None)
    covered = {(stretch.object_id, n) for stretch in stretches for n in range(stretch.first, stretch.last + 1)}
    for word in (BACK, CUT, CROSSING):
        having = {(r.object_id, r.frame) for r in rows if word in r.reasons}
        begun = {
            (r.object_id, r.frame) for r in rows if word in r.reasons and not r.human
            and not any((r.object_id, r.frame - k) in having for k in range(1, GAP + 1))
        }  # fmt: skip
        for frame in {frame for _, frame in begun}:
            assert any((object_id, frame) in covered for object_id, n in begun if n == frame)


def test_stretches_read_as_sentences():
    rows = [Row(n, 2, 0.0, True, ("lost",), False, 0) for n in (29, 30, 31)]
    rows += [row(45, 0.31, "uncertain", object_id=6), row(50, 0.9)]
    assert [str(stretch) for stretch in look_first(rows)] == [
        "frames 29-31: object 2 lost",
        "frame 45: object 6 doubtful (score 0.31, uncertain)",
    ]


def test_what_goes_on_long_comes_before_what_is_worse_and_short():
    short = [row(3, 0.1)]
    long = [row(n, 0.4, object_id=2) for n in range(10)]
    assert frames(look_first(short + long)) == [(2, 0, 9), (1, 3, 3)]


def test_a_mask_that_a_person_gave_ends_what_a_correction_would_mend():
    early = [row(0, 0.4), *(row(n, 0.7) for n in range(1, 20))]
    settled = [row(0, 0.4, object_id=2), row(1, 1.0, object_id=2, human=True)]
    settled += [row(n, 0.7, object_id=2) for n in range(2, 20)]
    assert frames(look_first(early + settled)) == [(1, 0, 0), (2, 0, 0)]


def test_a_correction_is_worth_most_where_most_goes_wrong_after_it_for_all_objects():
    """Object 1 is doubtful in frames 0 to 9, object 2 in 4 to 9: at frame 4 both can be corrected."""
    rows = [row(n, 0.6) for n in range(10)] + [row(n, 0.9 if n < 4 else 0.1, object_id=2) for n in range(10)]
    stretches = look_first(rows)
    assert {stretch.object_id: stretch.best_frame for stretch in stretches} == {1: 4, 2: 4}
    assert stretches[0].object_id == 2
    worth = worth_of(rows)
    assert max(worth, key=worth.get) == 4
    assert worth[9] == pytest.approx(0.4 + 0.9)
    assert worth[8] == pytest.approx((0.4 + 0.9) * (1 + LASTING))


def test_an_event_is_named_once_where_it_begins_however_good_the_masks():
    rows = [row(n, 0.9, *([CROSSING] if 5 <= n <= 15 else [])) for n in range(20)]
    assert frames(look_first(rows)) == [(1, 5, 5)]


def test_a_cut_is_named_once_for_all_objects():
    rows = [row(7, 0.9, CUT), row(7, 0.7, CUT, object_id=2), row(7, 0.8, CUT, object_id=3)]
    assert frames(look_first(rows)) == [(2, 7, 7)]


def test_an_event_in_a_stretch_that_is_named_anyway_is_no_entry_of_its_own():
    rows = [row(n, 0.2, *([BACK] if n == 4 else [])) for n in range(10)]
    assert frames(look_first(rows)) == [(1, 0, 9)]
