"""The command draws what the run learns from, whatever the sizes of its stages."""

from __future__ import annotations

import sys

import cv2
import pytest
from little_data import RUNS, make_stills

from training.loop.contact_sheet import draw, main
from training.loop.settings import read_run
from training.loop.sources import open_sources

TINY = RUNS / "tiny.toml"  # four steps of two clips of two frames of 64x64, then three frames of 64x96 (height, width)


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    return make_stills(tmp_path_factory.mktemp("stills"))


@pytest.fixture
def command(stills, monkeypatch):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["contact_sheet", str(TINY), "--data", str(stills), *map(str, words)])
        main()

    return run


def test_the_sheet_shows_the_clips_of_the_steps_that_were_asked_for(command, stills, tmp_path):
    """Steps 3 and 4, of two stages: 2 * 2 * 64 rows each, 2 * 64 columns and black, then 3 * 96."""
    command("--out", tmp_path / "sheet.png", "--step", 3, "--steps", 2)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1]
    assert sheet.shape == (2 * 256, 288, 3)
    run = read_run(TINY, [])
    clips = [
        open_sources(run, stills).training.sample(run.stage(step).shape, run.data_seed(step), "cpu") for step in (3, 4)
    ]
    assert (sheet[:256, :128] == draw(clips[0])).all()
    assert not sheet[:256, 128:].any()
    assert (sheet[256:] == draw(clips[1])).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "sheet.svgg"], r"sheet\.svgg is no picture"),
        (["--out", "gone/sheet.png"], "could not be written"),
        (["--out", "sheet.png", "--steps", 0], "--steps 0 draws nothing"),
        (["--out", "sheet.png", "--set", "no_such_setting=1"], "no_such_setting"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(command, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=f"^error: .*{message}"):
        command(*words)
    assert not list(tmp_path.iterdir())
