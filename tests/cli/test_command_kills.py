"""Killed at any moment and given again, commands come to what they would have come to, and leave nothing else."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from kills import Work, command, emptied, files_of, moments, timed
from little_clip import COUNT

from agss_model.formats.registry import FORMATS
from agss_model.video import open_source

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def told(folder):
    """All but the tracker's states: they save time later on, and the last one may be missing after a kill."""
    return {name: data for name, data in files_of(folder).items() if ".states" not in name}


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_track_finds_the_same_masks_and_leaves_nothing_beside_them(clip, tmp_path, direction):
    folder = emptied(tmp_path / "runs")
    words = ["track", clip / "clip.mp4", "--masks", clip / "truth/00000.png", "--out", folder / "out"]
    words += ["--weights", "propagation", "--device", "cpu", "--direction", direction]
    work = Work(command, *words, log=tmp_path / "log")
    seconds, given = timed(work), files_of(clip)
    expected = told(folder)
    for moment in moments(seconds):
        emptied(folder)
        (folder / "notes.txt").write_text("mine")
        while work.kill_after(moment) and moment > seconds / 2:
            moment /= 2  # killed again where it went on
        work.finish()
        found = told(folder)
        assert found.pop("notes.txt") == b"mine"
        assert found.keys() == expected.keys()
        assert all(found[name] == data for name, data in expected.items() if "masks/" in name or "scores" in name)
    assert files_of(clip) == given


@pytest.mark.parametrize("masks", ["tracked", "still to track"])
def test_the_overlay_is_whole_or_not_there_and_the_same_command_draws_it(clip, tmp_path, masks):
    folder, run = emptied(tmp_path / "runs"), tmp_path / "run"
    out = folder / "out"
    words = ["track", clip / "clip.mp4", "--masks", clip / "truth/00000.png", "--out", out]
    words += ["--weights", "propagation", "--device", "cpu", "--overlay"]
    without, work = (Work(command, *words, kind, log=tmp_path / "log") for kind in ("none", "video"))
    if masks == "tracked":
        without.finish()
    shutil.copytree(folder, run)
    seconds = timed(work, drawing := lambda: any(out.glob(".progress/*overlay*")))
    expected, pictures = told(folder), drawn(out)
    assert len(pictures) == COUNT
    for moment in moments(seconds):
        restored(run, folder)
        while not work.kill_after(moment, drawing):
            restored(run, folder)
            moment /= 2  # it was faster than the first time
        kept = told(folder)
        assert (out / "overlay.mp4").exists() <= np.array_equal(drawn(out), pictures)
        work.finish()
        found = told(folder)
        assert found.keys() == expected.keys()
        assert all(found[name] == data for name, data in kept.items() if "masks/" in name)
        assert all(found[name] == data for name, data in expected.items() if "masks/" in name or "scores" in name)
        assert np.array_equal(drawn(out), pictures)


def restored(run, folder):
    """The folder as it was."""
    shutil.rmtree(folder)
    shutil.copytree(run, folder)


def drawn(out):
    """The frames of the overlay."""
    if not (out / "overlay.mp4").exists():
        return None
    with open_source(out / "overlay.mp4") as overlay:
        return np.stack(list(overlay.frames()))


def test_export_leaves_the_run_as_it_was_and_nothing_beside_its_folder(clip, done, tmp_path):
    run = files_of(done)
    folder, names = tmp_path / "exports", sorted(FORMATS)
    for number, share in enumerate(moments(1.0)):
        name = names[number % len(names)]
        words = ["export", done, "--to", name, "--out", folder / "out", "--source", clip / "clip.mp4"]
        work = Work(command, *words, log=tmp_path / "log")
        emptied(folder)
        seconds = timed(work)
        expected = files_of(folder)
        emptied(folder)
        work.kill_after(share * seconds)
        whole = (folder / "out").exists()
        if not whole:
            work.finish()
        found = files_of(folder)
        assert found.keys() == expected.keys(), (name, share)
        assert all(found[k] == data for k, data in expected.items() if not k.endswith((".mov", ".mp4"))), name
        assert files_of(done) == run
