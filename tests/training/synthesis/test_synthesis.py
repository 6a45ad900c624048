from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from little_data import make_stills

from training.data.clips import Clips, ClipShape
from training.data.stills import load_stills
from training.loop.contact_sheet import draw
from training.synthesis.appearance import compress, drift, photograph, shade, streak
from training.synthesis.scenes import OverlaidClips, StillClips, SynthesisConfig, synthesise
from training.synthesis.trajectories import Carrier, Path, excursion, ride, smooth

SHAPE = ClipShape(batch=3, frames=4, height=64, width=96)
CONFIG = SynthesisConfig()


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return load_stills(make_stills(tmp_path_factory.mktemp("stills"), objects=2), size=96)


def test_the_same_seed_gives_the_same_clips_and_another_seed_others(pool):
    one, same, other = (synthesise(pool, CONFIG, SHAPE, seed) for seed in (5, 5, 6))
    assert torch.equal(one.frames, same.frames)
    assert torch.equal(one.masks, same.masks)
    assert torch.equal(one.entry, same.entry)
    assert not torch.equal(one.frames, other.frames)


def test_global_random_state_neither_matters_nor_changes(pool):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = synthesise(pool, CONFIG, SHAPE, 5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(synthesise(pool, CONFIG, SHAPE, 5).frames, one.frames)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31), frames=st.integers(2, 6), own=st.integers(0, 2), pasted=st.integers(0, 4),
    shadowed=st.sampled_from([0.0, 0.5, 1.0]),
)  # fmt: skip
def test_every_clip_keeps_its_promises(pool, seed, frames, own, pasted, shadowed):
    config = dataclasses.replace(CONFIG, own=own, pasted=pasted if own else pasted + 1, shadowed=shadowed)
    shape = dataclasses.replace(SHAPE, frames=frames)
    clips = synthesise(pool, config, shape, seed)
    batch, count, objects = clips.masks.shape[:3]
    assert clips.frames.shape == (shape.batch, frames, 3, shape.height, shape.width)
    assert clips.masks.shape == (batch, count, objects, shape.height, shape.width)
    assert clips.entry.shape == (batch, objects)
    assert 0 <= clips.frames.min() <= clips.frames.max() <= 1
    assert set(clips.masks.unique().tolist()) <= {0.0, 1.0}
    assert clips.masks.sum(2).max() <= 1  # a pixel belongs to one object
    share = clips.masks.mean((-2, -1))
    for b in range(batch):
        for n in range(objects):
            entry = int(clips.entry[b, n])
            if entry < frames:
                assert share[b, entry, n] >= config.minimum
                assert (share[b, :entry, n] < config.minimum).all()
    tracked = (clips.entry < frames).int()
    assert (tracked.diff(dim=1) <= 0).all()  # tracked objects come first
    assert objects == max(1, int(tracked.sum(1).max()))


def test_masks_lie_on_the_objects_they_belong_to(pool):
    config = dataclasses.replace(CONFIG, own=2, untracked=0.0)
    bright, dark = [], []
    for seed in range(6):
        clips = synthesise(pool, config, SHAPE, seed)
        inside = clips.masks.sum(2) > 0
        grey = clips.frames.mean(2)
        bright.append(grey[inside].mean())
        dark.append(grey[~inside].mean())
    assert min(bright) > 0.55  # objects are drawn in 200 to 240 of 255
    assert max(dark) < 0.35  # pictures in 0 to 40; objects too small to be tracked stay


def test_objects_come_in_leave_and_return(pool):
    config = dataclasses.replace(CONFIG, own=0, away=1.0, untracked=0.0, minimum=0.001)
    came = returned = left = False
    for seed in range(12):
        present = synthesise(pool, config, dataclasses.replace(SHAPE, frames=7), seed).masks.mean((-2, -1)) > 0.002
        for track in present.permute(0, 2, 1).reshape(-1, 7).tolist():
            came |= not track[0] and any(track)
            left |= any(track) and not track[-1]
            first = track.index(True) if any(track) else 7
            gone = track.index(False, first) if False in track[first:] else 7
            returned |= any(track[gone:])
    assert came
    assert left
    assert returned


def test_an_excursion_starts_or_ends_outside_whatever_the_seed():
    moved = excursion(torch.Generator().manual_seed(0), SHAPE, 200, 1.0)
    farthest = (moved.abs() / torch.tensor([SHAPE.width, SHAPE.height])).norm(dim=-1).amax(1)
    assert farthest.min() > 0.9
    assert excursion(torch.Generator().manual_seed(0), SHAPE, 200, 0.0).abs().max() == 0


def test_motion_starts_where_it_is_told(pool):
    walk = smooth(torch.Generator().manual_seed(0), 5, 4, 2.0, 3)
    assert walk.shape == (5, 4, 3)
    assert walk[:, 0].abs().max() == 0


def test_compression_is_nearly_exact_at_first_and_coarser_with_strength():
    images = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    off = [(compress(images, torch.full((2,), strength)) - images).abs().mean() for strength in (0.0, 0.5, 1.0)]
    assert off[0] < 0.01
    assert off[0] < off[1] < off[2] < 0.1


def test_compression_strength_is_that_of_each_image():
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    mixed = compress(images, torch.tensor([0.0, 1.0]))
    assert torch.equal(mixed[0], compress(images[:1], torch.tensor([0.0]))[0])
    assert torch.equal(mixed[1], compress(images[1:], torch.tensor([1.0]))[0])


def test_appearance_drifts_away_from_the_first_frame():
    pictures = torch.full((8, 5, 3, 32, 48), 0.5)
    seen = drift(pictures, 0.4, torch.Generator().manual_seed(0))
    change = (seen - pictures).abs().mean((0, 2, 3, 4))
    assert change[0] == pytest.approx(0, abs=1e-6)
    assert 0.01 < change[1] < change[4] < 0.3
    assert 0 <= seen.min() <= seen.max() <= 1
    assert torch.equal(drift(pictures, 0.0, torch.Generator()), pictures)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_shadow_lies_beside_its_object_and_moves_with_it(seed):
    alpha = torch.zeros(2, 3, 64, 96)
    for frame, left in enumerate((24, 32, 40)):
        alpha[0, frame, 16:40, left : left + 24] = 1
    dark = shade(alpha, torch.tensor([24.0, 24.0]), torch.Generator().manual_seed(seed))
    assert 0 < dark.min() <= dark.max() <= 1
    assert (dark[1] == 1).all()  # what is not there casts none
    beside = (1 - dark[0]) * (alpha[0] == 0)
    assert (beside > 0.1).sum((1, 2)).min() > 20
    assert torch.allclose(dark[0, 0, :, 8:72], dark[0, 1, :, 16:80], atol=0.02)


def test_shadows_are_no_part_of_an_object(pool):
    """The layers are the same; only what is seen below them is darker."""
    config = dataclasses.replace(CONFIG, own=0, pasted=1, untracked=0.0, twin=0.0)
    bright, dark = (synthesise(pool, dataclasses.replace(config, shadowed=share), SHAPE, 8) for share in (0.0, 1.0))
    assert torch.equal(bright.masks, dark.masks)
    assert not torch.equal(bright.frames, dark.frames)


def test_a_streak_keeps_what_is_there_and_runs_along_the_motion():
    layer = torch.zeros(2, 4, 32, 32)
    layer[:, :, 14:18, 14:18] = 1
    blurred = streak(layer, torch.tensor([[0.0, 0.0], [6.0, 0.0]]))
    assert torch.allclose(blurred[0], layer[0], atol=1e-6)
    assert torch.allclose(blurred[1].sum((1, 2)), layer[1].sum((1, 2)), rtol=1e-4)
    rows, columns = (blurred[1, 3].amax(axis) > 0.01 for axis in (1, 0))
    assert rows.sum() == 4
    assert 8 <= columns.sum() <= 11


def test_the_camera_changes_light_but_not_the_scene():
    frames = torch.rand(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    seen = photograph(frames.clone(), torch.Generator().manual_seed(3))
    assert seen.shape == frames.shape
    assert not torch.equal(seen, frames)
    pair = torch.stack([seen.flatten(), frames.flatten()])
    assert torch.corrcoef(pair)[0, 1] > 0.7


def test_a_sheet_shows_each_clip_bare_and_marked(pool):
    clips = StillClips(pool, CONFIG).sample(SHAPE, 3)
    sheet = draw(clips)
    assert sheet.shape == (2 * 3 * 64, 4 * 96, 3)
    bare, marked = sheet[:64, :96], sheet[64:128, :96]
    now = (clips.masks[0, 0] * (clips.entry[0] == 0)[:, None, None]).sum(0) > 0
    assert (bare[~now.numpy()] == marked[~now.numpy()]).all()
    assert (bare[now.numpy()] != marked[now.numpy()]).any() == bool(now.any())


def test_what_rides_keeps_its_place_on_the_carrier():
    """A carrier that turns by 90 degrees, doubles and moves: offset (10, 0) becomes (0, 20) from its new centre."""
    carrier = Carrier(
        Path(
            torch.tensor([[[50.0, 50.0], [80.0, 60.0]]]),
            torch.tensor([[1.0, 2.0]]),
            torch.tensor([[0.3, 0.3 + math.pi / 2]]),
            torch.ones(1, 2, 2),
        ),
        size=40.0,
    )
    path = Path(torch.zeros(2, 2, 2), torch.ones(2, 2), torch.zeros(2, 2), torch.ones(2, 2, 2))
    ride(path, 1, carrier, torch.tensor([10.0, 0.0]), scale=0.5)
    torch.testing.assert_close(path.centre[1], torch.tensor([[60.0, 50.0], [80.0, 80.0]]))
    torch.testing.assert_close(path.scale[1], torch.tensor([0.5, 1.0]))
    torch.testing.assert_close(path.angle[1], torch.tensor([0.0, math.pi / 2]))
    assert path.centre[0].abs().max() == 0


def test_objects_pasted_over_real_clips_leave_the_clip_and_its_objects_beneath(pool):
    class Still:
        """A clip whose left half is an object."""

        def sample(self, shape, seed, device="cpu"):
            frames = torch.full((shape.batch, shape.frames, 3, shape.height, shape.width), 0.5)
            masks = torch.zeros(shape.batch, shape.frames, 1, shape.height, shape.width)
            masks[..., : shape.width // 2] = 1
            return Clips(frames, masks, torch.zeros(shape.batch, 1, dtype=torch.long))

    config = SynthesisConfig(pasted=2, untracked=0.0)
    shape = ClipShape(batch=3, frames=3, height=64, width=64)
    clips = OverlaidClips(pool, config, Still()).sample(shape, 5)
    assert clips.masks.sum(2).max() <= 1
    assert clips.masks.shape[2] > 1
    assert (clips.masks[:, :, 0, :, 40:] == 0).all()  # nothing that was not there becomes the clip's object
    again = OverlaidClips(pool, config, Still()).sample(shape, 5)
    assert torch.equal(clips.frames, again.frames)
