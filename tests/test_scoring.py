from __future__ import annotations

import dataclasses

import pytest
import torch

from agss_model import quality
from agss_model.clues import NAMES
from agss_model.errors import WeightsError
from agss_model.network import build_network
from agss_model.scoring import KIND, ScoreHead
from agss_model.tracker import Tracker
from agss_model.weights.fingerprint import fingerprint
from agss_model.weights.registry import head_beside

ABOUT = {"kind": KIND, "clues": " ".join(NAMES)}


def head(level=(0.0, 0.0), seed=0):
    size = len(NAMES)
    weights = torch.randn(2, size, generator=torch.Generator().manual_seed(seed)) * 0.1
    return ScoreHead(torch.zeros(size), torch.ones(size), weights, torch.tensor(level))


def test_a_head_comes_back_from_its_state():
    one = head()
    other = ScoreHead.of(one.state(), ABOUT)
    clues = torch.randn(5, len(NAMES), generator=torch.Generator().manual_seed(1))
    for mine, theirs in zip(vars(one(clues)).values(), vars(other(clues)).values(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_head_for_other_clues_is_none_and_something_else_is_refused():
    assert ScoreHead.of(head().state(), ABOUT | {"clues": "certainty"}) is None
    with pytest.raises(WeightsError, match="flownet2c"):
        ScoreHead.of(head().state(), ABOUT | {"kind": "flownet2c"})
    with pytest.raises(WeightsError, match="tensors"):
        ScoreHead.of(head().state() | {"weights": torch.zeros(3, 3)}, ABOUT)


def test_scores_are_what_the_head_says_and_a_mask_on_something_else_is_lost(lite, scene):
    for level, lost in (((1.0, -9.0), False), ((1.0, 9.0), True)):
        lite.head = dataclasses.replace(head(), weights=torch.zeros(2, len(NAMES)), level=torch.tensor(level))
        tracker = Tracker(lite)
        tracker.add(scene.frame(0), scene.masks(0))
        result = tracker.step(scene.frame(0))
        for object_id in result.object_ids:
            if lost:
                assert object_id in result.lost
                assert not (result.label_map == object_id).any()
                assert result.scores[object_id] == 0
            elif object_id not in result.lost:
                assert result.scores[object_id] == pytest.approx(torch.tensor(1.0).sigmoid().item(), abs=1e-3)


def test_a_cut_is_told_by_the_whole_frame_and_a_crossing_by_contact_with_one_alike():
    def told(**clues):
        row = torch.zeros(1, len(NAMES))
        for name, value in {"cut": 1.0, **clues}.items():
            row[0, NAMES.index(name)] = value
        return head()(row)

    assert bool(told(cut=0.1).cut)
    assert not bool(told().cut)
    assert bool(told(contact=0.9, resembles_others=0.9).crossing)
    assert not bool(told(contact=0.9).crossing)
    assert not bool(told(resembles_others=0.9).crossing)


def test_why_an_object_is_lost_is_said():
    masks = torch.zeros(1, 40, 60)
    masks[0, 10:20, 10:20] = 0.95
    never = torch.tensor([False])
    trust = head(level=(0.0, 9.0))(torch.zeros(1, len(NAMES)))
    judged = quality.assess(masks, quality.reach(masks, never), masks, never, trust)
    assert judged.lost[0]
    assert quality.ANOTHER in judged.reasons(0)


def test_a_changed_head_is_another_network_and_no_head_is_saved_with_it(lite):
    before, names = fingerprint(lite), set(lite.state_dict())
    lite.head = head()
    assert fingerprint(lite) != before
    assert set(lite.state_dict()) == names
    build_network(lite.config).load_state_dict(lite.state_dict())


def test_a_head_lies_beside_its_weights(tmp_path):
    assert head_beside(tmp_path / "team.safetensors") == tmp_path / "team-scores.safetensors"
