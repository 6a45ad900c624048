from __future__ import annotations

import dataclasses
import shutil

import pytest
import torch

from agss_model.config import preset
from agss_model.errors import WeightsError
from agss_model.network import build_network
from agss_model.tracking import quality
from agss_model.tracking.clues import AGAINST, NAMES, Regions
from agss_model.tracking.quality import HEAD, ScoreHead
from agss_model.tracking.tracker import Tracker
from agss_model.weights.files import save_weights
from agss_model.weights.fingerprint import fingerprint
from agss_model.weights.registry import SHIPPED, head_beside, load_model

ABOUT = {"kind": HEAD, "clues": " ".join(NAMES)}


@pytest.fixture(scope="module")
def shipped_head():
    return load_model("lite").head


def head(level=(0.0, 0.0), seed=0):
    knots = torch.tensor([[-1.0], [0.0], [2.0]]).expand(3, len(NAMES)).contiguous()
    rise = torch.randn(2, len(NAMES), 2, generator=torch.Generator().manual_seed(seed)) * 0.1
    return ScoreHead(knots, rise, torch.tensor(level))


def test_a_clue_adds_what_its_line_has_risen_by():
    """Knots at -1, 0 and 2: the first piece rises by 1, the second by 4, level outside; equal knots make a jump."""
    knots = torch.tensor([[-1.0], [0.0], [2.0]]).expand(3, len(NAMES)).clone()
    knots[:, 1] = 0.0
    rise = torch.zeros(2, len(NAMES), 2)
    rise[0, 0], rise[0, 1, 0] = torch.tensor([1.0, 4.0]), 10.0
    line = ScoreHead(knots, rise, torch.zeros(2))
    clues = torch.zeros(6, len(NAMES))
    clues[:, 0] = torch.tensor([-5.0, -0.5, 0.0, 1.0, 2.0, 9.0])
    assert line(clues).iou.logit().tolist() == pytest.approx([0.0, 0.5, 1.0, 3.0, 5.0, 5.0], abs=1e-3)
    clues[:, 1] = 0.1
    assert line(clues[:1]).iou.logit().item() == pytest.approx(10.0, abs=1e-2)


def test_what_speaks_for_a_mask_never_speaks_against_it(shipped_head):
    against = torch.tensor([name in AGAINST for name in NAMES])
    assert (shipped_head.rise[0, ~against] >= 0).all()
    assert (shipped_head.rise[0, against] <= 0).all()
    assert (shipped_head.rise[1, ~against] <= 0).all()
    assert (shipped_head.rise[1, against] >= 0).all()


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
        ScoreHead.of(head().state() | {"rise": torch.zeros(3, 3)}, ABOUT)


def test_scores_are_what_the_head_says_and_a_mask_on_something_else_is_lost(lite, scene):
    for level, lost in (((1.0, -9.0), False), ((1.0, 9.0), True)):
        lite.head = dataclasses.replace(head(), rise=torch.zeros(2, len(NAMES), 2), level=torch.tensor(level))
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
    judged = quality.assess(Regions.of(masks, quality.reach(masks, never), masks), never, trust)
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


def test_a_head_of_other_clues_gives_way_to_the_shipped_one(tmp_path, shipped_head):
    weights = tmp_path / "team.safetensors"
    shutil.copy(SHIPPED / "lite.safetensors", weights)
    save_weights(head_beside(weights), head().state(), preset("lite"), ABOUT)
    assert torch.equal(load_model(weights).head.rise, head().rise)
    save_weights(head_beside(weights), head().state(), preset("lite"), ABOUT | {"clues": "certainty"})
    assert torch.equal(load_model(weights).head.rise, shipped_head.rise)
