from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from agss_model.config import preset
from agss_model.flow import DISFlow
from agss_model.network import build_network
from agss_model.network.base import AGSSVOS, Features, Reference
from agss_model.network.losses import divergence
from training.data.clips import Clips, join, pack
from training.loop.recurrent import ClipLoss, RecurrentConfig
from training.loop.sources import FlowAhead

PLAIN = RecurrentConfig(cross_entropy=0, still_share=0, recent_share=0, mistaken=0)


class Echo(AGSSVOS):
    """Answers with `factor` times the masks it is given, and notes what it saw."""

    stride = 16
    mask_stride = 4

    def __init__(self, factor):
        super().__init__(preset("lite"))
        self.factor = nn.Parameter(torch.tensor(float(factor)))
        self.warped, self.known, self.references = [], [], []

    def encode(self, image):
        return Features(image, (image[:, :, ::16, ::16],), image[:, :1, ::16, ::16])

    def remember(self, features, masks, *, lasting=True):
        return Reference(features.key, masks[:, :, None], torch.ones(masks.shape[:2], dtype=torch.bool))

    def segment(self, features, asked):
        self.warped.append(asked.warped)
        self.known.append(asked.valid)
        self.references.append(asked.references)
        return asked.warped * self.factor * asked.valid[:, :, None, None]


def moving_square(frames=4, objects=1, step=0, size=64):
    """A bright square per object that moves right by `step` pixels a frame, on a fixed noisy background."""
    rng = torch.Generator().manual_seed(0)
    background = torch.rand(3, size, size, generator=rng) * 0.3
    texture = torch.rand(3, size, size, generator=rng) * 0.5 + 0.5
    pictures, masks = [], []
    for t in range(frames):
        mask = torch.zeros(objects, size, size)
        for n in range(objects):
            mask[n, 8 + 28 * n : 28 + 28 * n, 12 + step * t : 36 + step * t] = 1
        covered = mask.amax(0)
        shifted = torch.roll(texture, step * t, 2)
        pictures.append(background * (1 - covered) + shifted * covered)
        masks.append(mask)
    return Clips(torch.stack(pictures)[None], torch.stack(masks)[None], torch.zeros(1, objects, dtype=torch.int64))


def test_a_network_that_keeps_still_masks_is_perfect_on_a_still_clip():
    loss, iou = ClipLoss(Echo(1), PLAIN, None)(moving_square(), 0)
    assert loss.item() == pytest.approx(0, abs=0.03)
    assert iou.item() == pytest.approx(1, abs=0.01)


def test_a_mask_below_the_tolerance_is_replaced_by_the_truth_and_one_above_is_carried_on():
    clips = moving_square(step=2)
    truth = nn.functional.avg_pool2d(clips.masks[0], 4)
    failing = Echo(0.3)
    ClipLoss(failing, PLAIN, None)(clips, 0)
    for t in range(1, 4):
        assert torch.equal(failing.warped[t - 1][0], truth[t - 1])
    trusted = Echo(0.3)
    ClipLoss(trusted, dataclasses.replace(PLAIN, tolerance=0.0), None)(clips, 0)
    assert torch.allclose(trusted.warped[1][0], truth[0] * 0.3)
    assert torch.allclose(trusted.warped[2][0], truth[0] * 0.09)


def test_an_object_that_enters_later_starts_from_the_truth_there_and_counts_from_the_next_frame():
    clips = dataclasses.replace(moving_square(objects=2), entry=torch.tensor([[0, 2]]))
    network = Echo(1)
    ClipLoss(network, PLAIN, None)(clips, 0)
    assert [known[0].tolist() for known in network.known] == [[True, False], [True, False], [True, True]]
    assert network.warped[1][0, 1].sum() == 0
    assert torch.equal(network.warped[2][0, 1], nn.functional.avg_pool2d(clips.masks[0, 2], 4)[1])


def test_a_drawn_reference_guides_its_clip_with_the_true_masks_there():
    clips = moving_square(step=4)
    clips = dataclasses.replace(join([clips, clips]), reference=torch.tensor([3, 1]))
    network = Echo(1)
    ClipLoss(network, PLAIN, None)(clips, 0)
    guide = network.references[0][0]
    for row, frame in enumerate((3, 1)):
        assert torch.equal(guide.value[row, :, 0], nn.functional.avg_pool2d(clips.masks[row, frame], 4))
        assert torch.equal(guide.key[row], clips.frames[row, frame, :1, ::16, ::16])


def test_recent_frames_join_the_memory_as_often_as_told():
    network = Echo(1)
    ClipLoss(network, dataclasses.replace(PLAIN, recent_share=1.0), None)(moving_square(), 0)
    assert [len(references) for references in network.references] == [1, 2, 3]
    network = Echo(1)
    ClipLoss(network, PLAIN, None)(moving_square(), 0)
    assert [len(references) for references in network.references] == [1, 1, 1]


def test_flow_moves_the_masks_and_a_still_share_of_one_leaves_them():
    clips = moving_square(step=4, frames=2)
    moved, still = Echo(1), Echo(1)
    ClipLoss(moved, PLAIN, DISFlow())(clips, 0)
    ClipLoss(still, dataclasses.replace(PLAIN, still_share=1.0), DISFlow())(clips, 0)
    target = nn.functional.avg_pool2d(clips.masks[0], 4)[1]
    assert torch.equal(still.warped[0][0], nn.functional.avg_pool2d(clips.masks[0], 4)[0])
    assert (moved.warped[0][0] - target).abs().sum() < 0.5 * (still.warped[0][0] - target).abs().sum()


def test_flow_computed_ahead_is_the_flow_computed_in_the_step():
    clips = join([moving_square(step=4), moving_square(step=2)])
    inside, ahead = Echo(1), Echo(1)
    one = ClipLoss(inside, PLAIN, DISFlow())(clips, 0)
    two = ClipLoss(ahead, PLAIN, None)(FlowAhead(2, 4)(clips), 0)
    assert one == two
    for ours, theirs in zip(inside.warped, ahead.warped, strict=True):
        assert torch.equal(ours, theirs)


class ShiftFlow(nn.Module):
    """A flow with one number to learn."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(-1.0))

    def forward(self, target, source):
        return torch.stack([self.shift.expand(len(target), *target.shape[2:]), target[:, 0] * 0], 1)


def test_a_flow_that_is_a_network_learns_from_the_masks():
    flow = ShiftFlow()
    loss = ClipLoss(Echo(1), dataclasses.replace(PLAIN, tolerance=1.1), flow)
    assert "flow.shift" in dict(loss.named_parameters())
    optimizer = torch.optim.Adam(flow.parameters(), lr=0.2)
    for _ in range(40):
        value, _ = loss(moving_square(step=4), 0)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert flow.shift.item() == pytest.approx(-4, abs=1.0)


def test_a_teacher_holds_on_where_everything_is_known_and_lets_the_team_be_learned():
    config = dataclasses.replace(PLAIN, taught=2.0)
    clips = moving_square()
    sparse = dataclasses.replace(clips, known=torch.ones(1, 4, 1, dtype=torch.bool))
    alone = ClipLoss(Echo(0.9), config, None)(clips, 0)[0].item()
    agreed = ClipLoss(Echo(0.9), config, None, Echo(0.9))(clips, 0)[0].item()
    taught = ClipLoss(Echo(0.9), config, None, Echo(0.6))(clips, 0)[0].item()
    assert agreed == pytest.approx(alone, abs=1e-6)
    carried = nn.functional.avg_pool2d(clips.masks[0, :1], 4)
    expected = [2.0 * divergence(0.9**t * carried, 0.6 * 0.9 ** (t - 1) * carried).item() for t in (1, 2, 3)]
    assert taught - alone == pytest.approx(sum(expected) / 3, rel=1e-3)
    one, other = (ClipLoss(Echo(0.9), config, None, teacher)(sparse, 0)[0] for teacher in (None, Echo(0.6)))
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["lite", "paper"])
def test_every_trained_part_of_the_network_gets_a_gradient(name):
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(preset(name), use_flow=False))
    value, iou = ClipLoss(network, RecurrentConfig(), None)(moving_square(frames=3, objects=2), 0)
    value.backward()
    assert 0 <= iou <= 1
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []


def test_clips_with_different_numbers_of_objects_are_joined_with_empty_places():
    joined = join([moving_square(objects=1), moving_square(objects=2)])
    assert joined.masks.shape == (2, 4, 2, 64, 64)
    assert joined.masks[0, :, 1].sum() == 0
    assert joined.entry.tolist() == [[0, 4], [0, 0]]


def test_every_object_counts_once_and_an_empty_place_not_at_all():
    one, two = moving_square(objects=1, step=4), moving_square(objects=2, step=2)
    never_replaced = dataclasses.replace(PLAIN, tolerance=0)
    alone, pair, together = (
        ClipLoss(Echo(1), never_replaced, None)(clips, 0)[1].item() for clips in (one, two, join([one, two]))
    )
    assert alone < pair < 0.9
    assert together == pytest.approx((alone + 2 * pair) / 3)


def test_packing_keeps_masks_with_their_entries():
    masks = torch.arange(3.0)[None, None, :, None, None].expand(2, 4, 3, 2, 2)
    packed, entry = pack(masks, torch.tensor([[4, 1, 0], [4, 4, 2]]))
    assert entry.tolist() == [[1, 0], [2, 4]]
    assert packed[0, 0, :, 0, 0].tolist() == [1, 2]
    assert packed[1, 0, 0, 0, 0] == 2
