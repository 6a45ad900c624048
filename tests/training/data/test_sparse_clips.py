from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from little_data import make_videos

from agss_model.config import preset
from agss_model.errors import MediaError
from agss_model.network import build_network
from training.data.clips import Clips, ClipShape
from training.data.sparse import FURTHEST, SparseClips, choose_frames, open_sparse
from training.data.video_config import VideoConfig
from training.loop.recurrent import ClipLoss, RecurrentConfig

SHAPE = ClipShape(batch=2, frames=3, height=64, width=64)


@pytest.fixture
def videos(tmp_path):
    make_videos(tmp_path, ["a", "b"], frames=13, every=4)
    return tmp_path


def test_clips_run_from_one_annotated_frame_to_another(videos):
    video = open_sparse(videos)[0]
    assert video.annotated == (0, 4, 8, 12)
    directions = set()
    for seed in range(40):
        chosen = choose_frames(video, 4, VideoConfig(), np.random.default_rng(seed))
        assert {chosen[0], chosen[-1]} <= set(video.annotated)
        assert 0 < abs(chosen[-1] - chosen[0]) <= FURTHEST * 3
        directions.add(chosen[-1] > chosen[0])
        assert chosen in (sorted(chosen), sorted(chosen, reverse=True))
    assert directions == {True, False}


def test_the_same_seed_gives_the_same_clips_and_truth_only_where_something_is_known(videos):
    clips = SparseClips(open_sparse(videos), VideoConfig())
    for seed in range(6):
        one, two = clips.sample(SHAPE, seed), clips.sample(SHAPE, seed)
        assert all(torch.equal(a, b) for a, b in zip(one.tensors().values(), two.tensors().values(), strict=True))
        assert one.known.shape == one.masks.shape[:3]
        assert one.known[:, 0].any(1).all()
        assert one.known[:, 1:].flatten(1).any(1).all()
        assert not one.masks.flatten(3).any(3)[~one.known].any()
        assert (one.entry[one.known[:, 0]] == 0).all()


def test_light_and_colours_change_alike_in_all_frames_of_a_clip_and_masks_stay(videos):
    plain, tinted = (SparseClips(open_sparse(videos), VideoConfig(tint=tint)) for tint in (0.0, 0.2))
    changes = set()
    for seed in range(5):
        one, two = plain.sample(SHAPE, seed), tinted.sample(SHAPE, seed)
        assert torch.equal(one.masks, two.masks)
        assert two.frames.min() >= 0
        assert two.frames.max() <= 1
        for before, after in zip(one.frames, two.frames, strict=True):
            among = (before > 0.05) & (after < 1)
            for colour in range(3):
                x, y = (part[:, colour][among[:, colour]].log() for part in (before, after))
                gamma = ((x - x.mean()) * (y - y.mean())).mean() / ((x - x.mean()) ** 2).mean()
                assert torch.allclose(y, gamma * (x - x.mean()) + y.mean(), atol=1e-3)
                changes.add(round(float(gamma), 3))
    assert len(changes) > 5


def test_objects_that_a_frame_does_not_tell_about_are_not_known(videos):
    told = {f"{t:05d}": [1] for t in (4, 8, 12)}
    (videos / "known.json").write_text(json.dumps({"a": told, "b": told}))
    clips = SparseClips(open_sparse(videos), VideoConfig(reverse=0))
    both = [clips.sample(SHAPE, seed) for seed in range(9)]
    assert any(clip.masks.shape[2] == 2 and clip.known[:, 0].all() for clip in both)
    assert not any(clip.known[:, 1:, 1:].any() for clip in both)
    (videos / "known.json").write_text("[1]")
    with pytest.raises(MediaError, match=r"known\.json is damaged"):
        open_sparse(videos)


def test_videos_without_two_annotated_frames_are_no_source(tmp_path):
    make_videos(tmp_path, ["a"], frames=4, every=9)
    with pytest.raises(MediaError, match="two annotated frames"):
        open_sparse(tmp_path)


def clip_and_loss(known, changed=None):
    """Loss and gradient of two objects over four frames; `changed` moves the truth of an object in a frame."""
    torch.manual_seed(0)
    network = build_network(preset("lite")).eval()
    frames = torch.rand(1, 4, 3, 64, 64)
    masks = torch.zeros(1, 4, 2, 64, 64)
    masks[:, :, 0, 4:24, 4:30], masks[:, :, 1, 36:60, 30:60] = 1, 1
    if changed is not None:
        masks[0, changed[0], changed[1]] = masks[0, changed[0], changed[1]].roll(6, -1)
    clips = Clips(frames, masks, torch.zeros(1, 2, dtype=torch.int64), known=known)
    loss, _ = ClipLoss(network, RecurrentConfig(), None)(clips, 0)
    loss.backward()
    return float(loss.detach()), [p.grad.clone() for p in network.parameters() if p.grad is not None]


def test_what_is_not_known_changes_neither_loss_nor_gradient():
    known = torch.zeros(1, 4, 2, dtype=torch.bool)
    known[:, 0], known[0, 2, 0], known[0, 3] = True, True, True
    loss, gradient = clip_and_loss(known)
    for unknown in ((1, 0), (1, 1), (2, 1)):
        other, changed = clip_and_loss(known, unknown)
        assert other == loss
        assert all(torch.equal(a, b) for a, b in zip(gradient, changed, strict=True))
    assert clip_and_loss(known, (2, 0))[0] != loss


def test_everything_known_is_the_same_as_saying_nothing():
    assert clip_and_loss(torch.ones(1, 4, 2, dtype=torch.bool))[0] == pytest.approx(clip_and_loss(None)[0], abs=1e-6)
