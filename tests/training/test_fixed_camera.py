from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from agss_model.masks.files import read_label_map
from training.fixed_camera import main

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
