from __future__ import annotations

import shutil

import pytest
from little_clip import snapshot

from agss_model import demo_clip


@pytest.fixture
def small_demo(clip, tmp_path, monkeypatch):
    folder = tmp_path / "demo_clip"
    folder.mkdir()
    shutil.copy(clip / "clip.mp4", folder / "pedestrians.mp4")
    shutil.copy(clip / "truth" / "00000.png", folder / "pedestrians_first.png")
    shutil.copy(clip / "truth" / "00009.png", folder / "pedestrians_last.png")
    for name, file in (
        ("VIDEO", "pedestrians.mp4"),
        ("FIRST", "pedestrians_first.png"),
        ("LAST", "pedestrians_last.png"),
    ):
        monkeypatch.setattr(demo_clip, name, folder / file)


def test_the_demo_writes_an_overlay_and_can_be_repeated(agss, small_demo, tmp_path):
    for _ in range(2):
        result = agss("demo", "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
        assert "J&F 0." in result.stdout
        assert (tmp_path / "out" / "overlay.mp4").exists()
        assert (tmp_path / "out" / "scores.csv").exists()


def test_the_demo_does_not_replace_what_it_did_not_write(agss, small_demo, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "overlay.mp4").write_text("mine")
    assert agss("demo", "--out", tmp_path / "out").exit_code == 2
    assert (tmp_path / "out" / "overlay.mp4").read_text() == "mine"


def test_the_demo_does_not_replace_the_run_of_another_clip(agss, clip, small_demo, tmp_path):
    words = ["track", clip / "frames", "--masks", clip / "truth/00000.png", "--out", tmp_path / "out"]
    assert agss(*words, "--overlay", "none").exit_code == 0
    before = snapshot(tmp_path / "out")
    refused = agss("demo", "--out", tmp_path / "out")
    assert refused.exit_code == 2
    assert "another clip" in refused.stderr
    assert "--overwrite" not in refused.stderr
    assert snapshot(tmp_path / "out") == before


@pytest.mark.slow
def test_the_shipped_clip_is_tracked(agss, tmp_path):
    result = agss("demo", "--out", tmp_path / "out", weights=None)
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 70
