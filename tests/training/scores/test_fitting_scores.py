"""The head finds what clues tell, no more than that, and is judged on clips it has not seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agss_model.errors import MediaError
from agss_model.tracking.clues import NAMES
from training.scores.fit import fit, is_held_out, judge, rows_of
from training.scores.record import Table


def table(iou, lost=None, **clues):
    """A table in which all clues but those given are 0; one object, frame after frame."""
    count = len(iou)
    columns = np.zeros((count, len(NAMES)), np.float32)
    for name, values in clues.items():
        columns[:, NAMES.index(name)] = values
    return Table(
        clues=columns,
        iou=np.array(iou, np.float32),
        frame=np.arange(count, dtype=np.int32),
        object_id=np.ones(count, np.int32),
        score=np.zeros(count, np.float32),
        lost=np.zeros(count, np.bool_) if lost is None else np.array(lost, np.bool_),
    )


def score(head, **clues):
    return float(head(torch.from_numpy(table([0], **clues).clues)).iou)


@pytest.fixture(scope="module")
def noisy():
    """A clue that is right four times in five, 0 for 200 masks and 1 for 200, and others that never change.

    Of the bad masks 4 in 5 have it at 0, of the good ones 1 in 5; a bad mask is scored lower than a good one with
    0.8 * 0.8, and the same with 0.8 * 0.2 + 0.2 * 0.8. Half of that counts: 0.8 together.
    """
    clue = np.repeat([0, 0, 1, 1], [160, 40, 40, 160])
    iou = np.repeat([0, 1, 0, 1], [160, 40, 40, 160])
    return table(iou, certainty=clue, agreement=0.5, contact=0.5)


@pytest.fixture(scope="module")
def noisy_head(noisy):
    return fit(rows_of([noisy]))


def test_a_clue_that_is_right_four_times_in_five_gives_the_scores_worked_out_by_hand(noisy, noisy_head):
    assert score(noisy_head, certainty=0, agreement=0.5, contact=0.5) == pytest.approx(0.2, abs=0.06)
    assert score(noisy_head, certainty=1, agreement=0.5, contact=0.5) == pytest.approx(0.8, abs=0.06)
    found = judge(noisy_head, [noisy])
    assert found.auc_bad == pytest.approx(0.8)
    assert found.calibration_error < 0.06
    assert found.masks == 400
    another = noisy_head(torch.from_numpy(noisy.clues)).another
    assert float(another[0]) == pytest.approx(0.8, abs=0.06)


def test_what_never_changed_in_the_fit_says_nothing_anywhere(noisy_head):
    """Knots of such a clue are equal, and a line between them would be a jump to anywhere."""
    usual = score(noisy_head, certainty=1, agreement=0.5, contact=0.5)
    for far in ({"agreement": 9}, {"agreement": -9}, {"contact": 9}, {"contact": -9}):
        assert score(noisy_head, **{"certainty": 1, "agreement": 0.5, "contact": 0.5} | far) == pytest.approx(
            usual, abs=0.01
        )


def test_a_clue_that_is_the_iou_gives_it_back_on_clips_that_were_not_seen():
    """As far as the decay lets it; a head that always said the mean would be off by 0.25."""
    rng = np.random.default_rng(0)
    told, kept = rng.random(2000), rng.random(500)
    head = fit(rows_of([table(told, certainty=told, contact=rng.random(2000))]))
    unseen = table(kept, certainty=kept, contact=rng.random(500))
    found = judge(head, [unseen])
    assert found.auc_bad > 0.99
    assert found.auc_poor > 0.99
    assert np.abs(head(torch.from_numpy(unseen.clues)).iou.numpy() - kept).mean() < 0.1
    assert found.mean_score == pytest.approx(found.mean_iou, abs=0.03)


def test_what_speaks_against_a_mask_is_not_believed_where_chance_says_the_contrary():
    """`contact` is what speaks against; here it grows with the IoU, and the head must not learn that."""
    iou = np.linspace(0, 1, 400)
    head = fit(rows_of([table(iou, contact=iou)]))
    scores = head(torch.from_numpy(table(iou, contact=iou).clues)).iou
    assert (scores.diff() <= 1e-6).all()
    assert float(scores[0]) == pytest.approx(float(scores[-1]), abs=0.01)


def test_the_same_tables_and_seed_give_the_same_head(noisy, noisy_head):
    again = fit(rows_of([noisy])).state()
    assert all(torch.equal(tensor, again[name]) for name, tensor in noisy_head.state().items())


def test_a_clip_counts_as_the_root_of_its_masks_and_what_cannot_be_judged_not_at_all():
    """One mask weighs 1, each of four 1/2: divided by the mean, 3/5, that is 5/3 and 5/6."""
    long = table([0.05, 0.6, 0.7, 0.8, np.nan, 0.9], lost=[0, 0, 0, 0, 0, 1])
    rows = rows_of([table([1.0]), long])
    assert rows.weight.tolist() == pytest.approx([5 / 3] + [5 / 6] * 4)
    assert rows.wanted[:, 0].tolist() == pytest.approx([1.0, 0.05, 0.6, 0.7, 0.8])
    assert rows.wanted[:, 1].tolist() == [0, 1, 0, 0, 0]
    assert len(rows.clues) == 5


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([], "0 of the 0 masks"),
        ([table([np.nan, 0.1], lost=[0, 1])], "0 of the 0 masks"),
        ([table([0.5, 0.9]), table([1.0])], "3 of the 3 masks"),
        ([table([0.0, 0.49])], "0 of the 2 masks"),
    ],
)
def test_masks_of_one_kind_teach_nothing_and_are_refused(tables, message):
    with pytest.raises(MediaError, match=f"{message}.*collect more clips"):
        rows_of(tables)


def test_what_the_tracker_calls_lost_is_judged_at_score_0(noisy, noisy_head):
    found = judge(noisy_head, [dataclasses.replace(noisy, lost=np.ones(400, np.bool_))])
    assert found.mean_score == 0
    assert found.calibration_error == pytest.approx(found.mean_iou) == pytest.approx(0.5)
    assert judge(noisy_head, []) is None


@given(st.text(st.characters(exclude_characters="+"), min_size=1), st.lists(st.sampled_from(["backwards", "cut"])))
def test_all_that_was_cut_from_one_clip_is_held_out_or_none(name, cuts):
    assert is_held_out("+".join([name, *cuts])) == is_held_out(name)


def test_one_clip_in_five_is_held_out():
    assert 150 < sum(is_held_out(f"made-{number}") for number in range(1000)) < 250
