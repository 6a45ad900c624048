from __future__ import annotations

import numpy as np
import pytest
import torch

from agss_model.network.base import Reference
from agss_model.tracking.clues import NAMES
from agss_model.tracking.memory import ReferenceCells
from agss_model.tracking.tracker import Tracker


def observed(network, scene, frames=3, ids=None):
    tracker = Tracker(network)
    tracker.observed = True
    tracker.add(scene.frame(0), {i: m for i, m in scene.masks(0).items() if ids is None or i in ids})
    for t in range(1, frames):
        tracker.step(scene.frame(t))
    return tracker


def clue(tracker, name):
    return tracker.clues[:, NAMES.index(name)]


def test_every_object_has_every_clue_and_all_are_numbers(lite, make_scene):
    for objects in (1, 2, 5):
        clues = observed(lite, make_scene(objects)).clues
        assert clues.shape == (objects, len(NAMES))
        assert torch.isfinite(clues).all()


def test_an_object_without_a_pixel_has_clues_too(lite, scene):
    tracker = observed(lite, scene)
    tracker.add(scene.frame(3), {2: np.zeros((scene.height, scene.width), bool)}, 3)
    tracker.step(scene.frame(4), 4)
    assert torch.isfinite(tracker.clues).all()
    assert clue(tracker, "was_lost")[1] == 1


def test_what_goes_on_from_a_state_sees_the_same(lite, scene):
    one = observed(lite, scene)
    other = Tracker(lite)
    other.observed = True
    other.restore(one.snapshot())
    one.step(scene.frame(3))
    other.step(scene.frame(3))
    torch.testing.assert_close(one.clues, other.clues, atol=1e-6, rtol=0)


def test_without_need_nothing_is_worked_out(lite, scene):
    tracker = Tracker(lite)
    tracker.add(scene.frame(0), scene.masks(0))
    tracker.step(scene.frame(1))
    assert tracker.clues is None


def test_a_frame_that_repeats_is_no_cut(lite, scene):
    tracker = observed(lite, scene, 1)
    tracker.step(scene.frame(0))
    assert clue(tracker, "cut")[0] == pytest.approx(1, abs=1e-2)


def test_what_is_shown_is_what_was_drawn():
    key = torch.nn.functional.normalize(torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    value = torch.zeros(1, 2, 16, 6, 8)
    value[0, 0, :, 1:3, 2:6] = 1
    for made in (value, (value * 255).to(torch.uint8)):
        shown = ReferenceCells.of([Reference(key, made, torch.ones(1, 2, dtype=torch.bool))])
        assert shown.known.tolist() == [[1.0, 0.0]]  # the second is nowhere
        assert shown.area[0].tolist() == [8.0, 0.0]
        assert shown.place[0, 0].tolist() == [1.5, 3.5]
        look = torch.nn.functional.normalize(key[0, :, 1:3, 2:6].mean((1, 2)), dim=0)
        torch.testing.assert_close(shown.look[0, 0], look)
