from __future__ import annotations

import dataclasses

import torch

from agss_model.tracking import quality
from agss_model.tracking.clues import Regions


def square(x, y, side=8, value=0.95, size=(40, 60)):
    mask = torch.zeros(size)
    mask[y : y + side, x : x + side] = value
    return mask


def judge(now, before, was_lost=False):
    lost = torch.tensor([was_lost])
    return quality.assess(Regions.of(now[None], quality.reach(before[None], lost), before[None]), lost)


def test_a_steady_clear_object_is_trusted():
    result = judge(square(10, 10), square(11, 10))
    assert not result.lost[0]
    assert result.score[0] > 0.8
    assert result.reasons(0) == ()


def test_a_vanished_object_is_lost_with_score_zero():
    result = judge(torch.zeros(40, 60), square(10, 10))
    assert result.lost[0]
    assert result.score[0] == 0
    assert result.reasons(0) == (quality.LOST,)


def test_a_jump_is_reported_as_lost_instead_of_followed():
    result = judge(square(45, 25), square(5, 5))
    assert result.lost[0]
    assert result.reasons(0) == (quality.LOST, quality.JUMP)


def test_a_lost_object_comes_back_only_when_clear():
    assert judge(square(30, 20, value=0.6), torch.zeros(40, 60), was_lost=True).lost[0]
    back = judge(square(30, 20, value=0.97), torch.zeros(40, 60), was_lost=True)
    assert not back.lost[0]
    assert quality.BACK in back.reasons(0)


def test_a_tiny_object_is_not_lost_for_being_tiny():
    assert not judge(square(10, 10, side=1), square(10, 10, side=1)).lost[0]


def test_reasons_name_doubt_motion_and_size():
    reasons = judge(square(10, 10, side=16, value=0.7), square(10, 10, side=8)).reasons(0)
    assert {quality.UNCERTAIN, quality.MOVED, quality.CHANGED} <= set(reasons)


def test_scores_fall_with_certainty_and_with_agreement():
    clear, vague = judge(square(10, 10), square(10, 10)), judge(square(10, 10, value=0.7), square(10, 10))
    assert clear.score[0] > vague.score[0]
    moved = judge(square(10, 10), square(14, 10))
    assert clear.score[0] > moved.score[0] > 0


def test_reach_is_the_box_enlarged_by_its_own_size():
    within = quality.reach(square(20, 16, side=4)[None], torch.tensor([False]))[0]
    rows, columns = within.any(1).nonzero().flatten(), within.any(0).nonzero().flatten()
    assert (rows.min(), rows.max()) == (8, 27)
    assert (columns.min(), columns.max()) == (12, 31)
    assert quality.reach(square(20, 16)[None], torch.tensor([True])).all()
    assert quality.reach(torch.zeros(1, 40, 60), torch.tensor([False])).all()


def test_an_island_out_of_reach_does_not_count():
    found = square(10, 10) + square(50, 30)
    result = judge(found, square(10, 10))
    assert not result.lost[0]
    assert result.change[0] == 1


def test_judgements_on_a_gpu_arrive_as_they_were():
    """Without a GPU: a tensor that says it is elsewhere takes the same way."""
    here = judge(square(10, 10), square(11, 10))

    class Elsewhere(torch.Tensor):
        device = torch.device("cuda")

    away = dataclasses.replace(here, score=here.score.as_subclass(Elsewhere))
    arrived = away.on_cpu()
    for field in dataclasses.fields(here):
        assert torch.equal(getattr(arrived, field.name).as_subclass(torch.Tensor), getattr(here, field.name))
        assert getattr(arrived, field.name).dtype == getattr(here, field.name).dtype
