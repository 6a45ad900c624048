from __future__ import annotations

import sys

import numpy as np
import pytest
from thinning_cases import CASES

from agss_model.masks.files import write_label_map
from serverless.measure.keyframes import main, need, objects


def boxes(lefts):
    for left in lefts:
        mask = np.zeros((60, 200), bool)
        mask[20:50, left : left + 30] = True
        yield mask


@pytest.mark.parametrize(
    ("lefts", "fewest"),
    [
        (range(0, 120, 5), 2),
        ([0, 0, 20, 20, 40, 40, 60, 60], 8),  # at no frame can it lie between its neighbours
        ([0, 5, 10, 15, 20, 15, 10, 5, 0], 3),
    ],
)
def test_the_bounds_are_those_worked_out_by_hand(lefts, fewest):
    found = need("box", range(len(lefts)), list(boxes(lefts)), 2.0)
    assert found.least <= found.likely == fewest
    assert found.keyframes >= fewest
    assert found.overlap > 0.9


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.tolerance}")
def test_nothing_needs_fewer_than_the_bound_for_any_polygons(case):
    found = need(case.kind, range(case.frames), case.masks(), case.tolerance)
    assert 2 <= found.least <= found.keyframes
    assert found.least <= found.likely


def test_the_longest_stretch_of_a_run_is_measured(tmp_path, monkeypatch, capsys):
    (tmp_path / "run" / "masks").mkdir(parents=True)
    for frame, mask in enumerate(boxes(range(0, 80, 5))):
        write_label_map(tmp_path / "run" / "masks" / f"{frame:05}.png", (mask & (frame != 4)).astype(np.uint8) * 3)
    [(name, frames, masks)] = objects(tmp_path / "run")
    assert (name, frames) == ("run 3", list(range(5, 16)))
    assert all(mask.sum() == 900 for mask in masks)
    monkeypatch.setattr(
        sys, "argv", ["keyframes_of_tracks.py", str(tmp_path / "run"), "--json", str(tmp_path / "x.json")]
    )
    main()
    assert "run 3, frames 11, keyframes 2, least 2, likely 2" in capsys.readouterr().out
    assert (tmp_path / "x.json").exists()
