"""A corrected mask in a long clip: only what depends on it is tracked again, counted by frame.

`AGSS_FRAMES=1000` takes a clip of a thousand frames, `AGSS_COUNTS_REPORT=FILE` writes what was counted.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from little_clip import snapshot

from agss_model.evaluation.benchmark import Scene
from agss_model.masks import to_label_map, write_label_map
from agss_model.tracking.tracker import Tracker
from agss_model.video import VideoWriter

COUNT, SIZE = int(os.environ.get("AGSS_FRAMES", "100")), (48, 32)
TENTH = COUNT // 10
REPORT = os.environ.get("AGSS_COUNTS_REPORT")


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    root = tmp_path_factory.mktemp("long")
    frames = Scene(2, *SIZE, "large").frames()
    (root / "truth").mkdir()
    with VideoWriter(root / "clip.mp4", 25, SIZE) as video:
        for number in range(COUNT):
            frame, masks = next(frames)
            video.write(frame)
            if number % TENTH == 0:
                write_label_map(root / "truth" / f"{number:05d}.png", to_label_map(masks))
    return root


@pytest.mark.slow
@pytest.mark.timeout(300 + 2 * COUNT)
@pytest.mark.parametrize(
    ("direction", "given", "corrected", "again"),
    [
        ("forward", (0,), 9 * TENTH, range(9 * TENTH, COUNT)),
        ("both", tuple(range(0, COUNT, 2 * TENTH)), 4 * TENTH, range(2 * TENTH, 6 * TENTH)),
    ],
)
def test_only_the_block_concerned_is_tracked_again(
    agss, long_clip, tmp_path, monkeypatch, direction, given, corrected, again
):
    looked, look = [], Tracker._look
    monkeypatch.setattr(
        Tracker, "_look", lambda self, image, index, size: looked.append(index) or look(self, image, index, size)
    )
    (tmp_path / "given").mkdir()
    for number in given:
        (tmp_path / "given" / f"{number:05d}.png").write_bytes((long_clip / "truth" / f"{number:05d}.png").read_bytes())
    words = ["track", long_clip / "clip.mp4", "--masks", tmp_path / "given", "--out", tmp_path / "out"]
    words += ["--overlay", "none", "--flow", "none", "--direction", direction]
    assert agss(*words).exit_code == 0
    first, before = len(looked), snapshot(tmp_path / "out" / "masks")
    assert set(looked) == set(range(COUNT))
    looked.clear()
    drawn = np.zeros(SIZE[::-1], np.uint8)
    drawn[4:20, 6:30] = 1
    write_label_map(tmp_path / "given" / f"{corrected:05d}.png", drawn)
    result = agss(*words)
    assert result.exit_code == 0, result.output
    assert f"tracked again {again[0]}-{again[-1]}" in " ".join(result.stdout.split())
    nearest = again[0] - (64 if direction == "forward" else 1)  # the nearest of sixteen states
    assert set(again) - set(given) <= set(looked) <= {*range(nearest, again[-1] + 1), *given}
    after = snapshot(tmp_path / "out" / "masks")
    changed = {int(Path(name).stem) for name in after if after[name] != before[name]}
    assert corrected in changed
    assert changed <= set(again)
    if REPORT:
        told = json.loads(Path(REPORT).read_text()) if Path(REPORT).is_file() else {}
        about = {"frames": COUNT, "first run": first, "corrected": corrected, "looked at again": len(looked)}
        told[direction] = about | {"tracked again": len(again), "masks that differ": len(changed)}
        Path(REPORT).write_text(json.dumps(told, indent=2) + "\n")
