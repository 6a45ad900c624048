from __future__ import annotations

import cv2
import numpy as np
import pytest
from fixed_camera import bluer, main, moving
from PIL import Image

from agss_model.masks.files import read_label_map

SIZE = (120, 160)


@pytest.fixture
def clip(tmp_path):
    """Two empty frames, then a dark box that comes in from the left while the whole picture becomes darker."""
    rng = np.random.default_rng(0)
    scene = rng.integers(120, 180, (*SIZE, 3))
    folder = tmp_path / "frames"
    folder.mkdir()
    truth = {}
    for t in range(10):
        frame = scene * (1 - 0.02 * t) + rng.normal(0, 1, scene.shape)
        truth[t] = np.zeros(SIZE, bool)
        if t >= 2:
            truth[t][30:90, : 12 * (t - 1)] = True
            frame[truth[t]] = (20, 30, 40)
        Image.fromarray(frame.clip(0, 255).astype(np.uint8)).save(folder / f"{t}.png")
    return folder, truth


def test_what_moves_is_found_whatever_the_light_does(clip, tmp_path, capsys):
    folder, truth = clip
    main([str(folder), "--empty", "0-1", "--clip", "box=0-9", "--out", str(tmp_path / "out")])
    assert "box: 8 frames" in capsys.readouterr().out
    for row, t in enumerate(range(2, 10)):
        found = read_label_map(tmp_path / "out" / "Annotations" / "box" / f"{row:05d}.png") == 1
        assert (found & truth[t]).sum() / (found | truth[t]).sum() > 0.85


def test_what_is_no_stretch_is_explained(clip, tmp_path):
    with pytest.raises(SystemExit, match="FIRST-LAST"):
        main([str(clip[0]), "--empty", "9-1", "--clip", "box=0-9", "--out", str(tmp_path / "out")])


def test_of_a_body_the_hull_is_found_without_its_shadow_and_without_its_neighbour(tmp_path):
    rng = np.random.default_rng(1)
    scene = cv2.GaussianBlur(rng.integers(100, 160, (*SIZE, 3)).astype(np.float32), (0, 0), 1)
    body, shadow, other = (np.zeros(SIZE, bool) for _ in range(3))
    body[30:90, 30:70], shadow[40:100, 70:84], other[20:80, 110:150] = True, True, True
    folder = tmp_path / "frames"
    folder.mkdir()
    for t in range(4):
        frame = scene.copy()
        if t >= 2:
            frame[shadow] *= 0.55
            frame[body] = (240, 240, 235)
            frame[50:60, 40:60] = scene[50:60, 40:60] * 0.5  # a dark window in it
            frame[other] = (220, 40, 40)
        Image.fromarray((frame + rng.normal(0, 1, scene.shape)).clip(0, 255).astype(np.uint8)).save(folder / f"{t}.png")
    main([str(folder), "--empty", "0-1", "--find", "rigid", "--clip", "car=2-3@0-100", "--out", str(tmp_path / "out")])
    found = read_label_map(tmp_path / "out" / "Annotations" / "car" / "00000.png") == 1
    assert (found & body).sum() / (found | body).sum() > 0.9
    assert not found[:, 100:].any()
    assert (found & shadow).sum() < 0.1 * shadow.sum()


def test_glass_in_a_hand_is_found_by_its_blue_without_hand_and_shadow():
    scene = cv2.GaussianBlur(np.random.default_rng(3).integers(140, 180, (*SIZE, 3)).astype(np.float32), (0, 0), 1)
    frame, glass = scene.copy(), np.zeros(SIZE, bool)
    glass[30:100, 60:90] = True
    frame[:, 90:120] *= 0.6  # shadow
    frame[10:30, 50:110] = (190, 120, 90)  # hand
    frame[glass] *= (0.75, 0.9, 1.05)
    found = bluer(frame.clip(0, 255).astype(np.uint8), scene)
    assert (found & glass).sum() / (found | glass).sum() > 0.9


def test_a_camera_that_trembles_by_a_pixel_shows_nothing_new():
    scene = np.random.default_rng(2).integers(20, 230, (*SIZE, 3)).astype(np.float32)
    shaken = np.roll(scene, 1, 1).astype(np.uint8)
    assert not moving(shaken, scene).any()
