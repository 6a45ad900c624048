"""`--overwrite` costs nobody a file that a run of ours did not write, whenever it is killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from little_clip import COUNT, snapshot

from agss_model.files import held
from agss_model.masks import read_label_map, write_label_map
from agss_model.tracking.tracker import Tracker


def again(agss, clip, out, *more, masks=None):
    return agss("track", clip / "clip.mp4", "--masks", masks or clip / "truth/00000.png", "--out", out, *more)


def note(out):
    (out / "notes.txt").write_text("mine")


def folder(out):
    (out / "drawn").mkdir()
    (out / "drawn" / "00000.png").write_text("mine")


def mask_more(out):
    (out / "masks" / "00077.png").write_text("mine")


def mask_drawn_again(out):
    write_label_map(out / "masks" / "00003.png", np.full((64, 96), 7, np.uint8))


def scores_edited(out):
    (out / "scores.csv").write_text("mine")


def state(out):
    (out / ".progress").mkdir()
    (out / ".progress" / "thoughts.txt").write_text("mine")


def next_run(out):
    (out / ".next").mkdir()
    (out / ".next" / "plan.txt").write_text("mine")


def link_to_masks(out):
    shutil.move(out / "masks", out.parent / "elsewhere")
    (out / "masks").symlink_to(out.parent / "elsewhere")


def link_to_a_file(out):
    shutil.move(out / "scores.csv", out.parent / "table.csv")
    (out / "scores.csv").symlink_to(out.parent / "table.csv")


def foreign_record(out):
    (out / "run.json").write_text('{"project": "mine"}')


def record_that_names_others(out):
    (out.parent / "precious.txt").write_text("mine")
    record = json.loads((out / "run.json").read_text())
    record["files"]["../precious.txt"] = "9" * 64
    record["files"]["masks/../../precious.txt"] = "9" * 64
    (out / "run.json").write_text(json.dumps(record))
    note(out)


FOREIGN = (
    note, folder, mask_more, mask_drawn_again, scores_edited, state, next_run, link_to_masks, link_to_a_file,
    foreign_record, record_that_names_others,
)  # fmt: skip


@pytest.mark.parametrize("add", FOREIGN, ids=lambda add: add.__name__)
def test_a_folder_that_holds_anything_else_is_refused_and_stays_as_it_is(agss, clip, done, tmp_path, add):
    out = shutil.copytree(done, tmp_path / "out")
    add(out)
    before = snapshot(tmp_path)
    result = again(agss, clip, out, "--overwrite")
    assert result.exit_code == 2, result.output
    assert "--overwrite" not in result.stderr
    assert snapshot(tmp_path) == before


def test_a_folder_without_a_run_is_refused_unless_it_is_empty(agss, clip, tmp_path):
    out = tmp_path / "out"
    (out / "masks").mkdir(parents=True)
    (out / "masks" / "00000.png").write_text("mine")
    assert again(agss, clip, out, "--overwrite").exit_code == 2
    assert (out / "masks" / "00000.png").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert again(agss, clip, tmp_path / "empty", "--overwrite").exit_code == 0


@pytest.mark.parametrize("place", ["masks", "drawn", "."])
def test_masks_inside_the_output_folder_are_refused(agss, clip, done, tmp_path, place):
    out = shutil.copytree(done, tmp_path / "out")
    (out / place).mkdir(exist_ok=True)
    drawn = out / place / "00000.png"
    shutil.copy(clip / "truth" / "00000.png", drawn)
    for masks in (drawn, drawn.parent) if place == "drawn" else (drawn,):
        before = snapshot(out)
        result = again(agss, clip, out, "--overwrite", masks=masks)
        assert result.exit_code == 2
        assert str(drawn.parent) in result.stderr
        assert snapshot(out) == before


def test_what_file_managers_leave_is_neither_removed_nor_in_the_way(agss, clip, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    (out / ".DS_Store").write_text("x")
    (out / "masks" / "Thumbs.db").write_text("x")
    assert again(agss, clip, out, "--overwrite", "--overlay", "none").exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == [".DS_Store", ".states", "masks", "run.json", "scores.csv"]
    assert (out / "masks" / "Thumbs.db").exists()


def test_a_shorter_run_leaves_nothing_of_the_longer_one(agss, clip, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    assert again(agss, clip, out, "--overwrite", "--to", "3").exit_code == 0
    assert len(list((out / "masks").iterdir())) == 4
    assert not (out / ".next").exists()
    assert again(agss, clip, out, "--overwrite").exit_code == 0
    assert snapshot(out / "masks") == snapshot(done / "masks")


def test_a_file_changed_while_its_replacement_is_made_stays(agss, clip, done, tmp_path, monkeypatch):
    out = shutil.copytree(done, tmp_path / "out")
    step = Tracker.step

    def edited(self, frame, frame_index=None):
        if frame_index == 5:
            mask_drawn_again(out)
        return step(self, frame, frame_index)

    monkeypatch.setattr(Tracker, "step", edited)
    result = again(agss, clip, out, "--overwrite")
    assert result.exit_code == 2
    assert "masks/00003.png" in result.stderr
    assert read_label_map(out / "masks" / "00003.png").max() == 7
    monkeypatch.undo()
    shutil.move(out / "masks" / "00003.png", tmp_path / "mine.png")
    assert again(agss, clip, out).exit_code == 0
    assert snapshot(out / "masks") == snapshot(done / "masks")


def finished_beside(agss, clip, out, monkeypatch, moved=0):
    """A shorter run, finished in `.next` and killed after so many of its files were moved into their places."""
    replace, count = Path.replace, [0]

    def killed(self, target):
        if ".next" in self.parts and self.suffix != ".part":
            if count[0] == moved:
                raise KeyboardInterrupt
            count[0] += 1
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        assert again(agss, clip, out, "--overwrite", "--to", "7", "--overlay", "none").exit_code == 130
    assert json.loads((out / ".next" / "run.json").read_text())["finished"]


@pytest.mark.parametrize("moved", [0, 3])
def test_a_file_of_the_new_run_that_was_changed_before_it_moves_stays(agss, clip, done, tmp_path, monkeypatch, moved):
    out = shutil.copytree(done, tmp_path / "out")
    finished_beside(agss, clip, out, monkeypatch, moved)
    drawn = out / ".next" / "masks" / "00006.png"
    drawn.write_text("mine")
    for _ in range(2):
        result = again(agss, clip, out, "--overwrite", "--to", "7", "--overlay", "none")
        assert result.exit_code == 2, result.output
        assert ".next/masks/00006.png" in result.stderr
        assert drawn.read_text() == "mine"
    shutil.move(drawn, tmp_path / "mine.png")
    assert again(agss, clip, out, "--overwrite", "--to", "7", "--overlay", "none").exit_code == 0
    assert snapshot(out / "masks") == dict(list(snapshot(done / "masks").items())[:8])
    assert sorted(path.name for path in out.iterdir()) == [".states", "masks", "run.json", "scores.csv"]


@pytest.mark.parametrize("content", [b"mine", b"\xba\xff\x00 no text"])
def test_a_complete_run_whose_scores_are_somebody_elses_says_so(agss, clip, done, tmp_path, content):
    out = shutil.copytree(done, tmp_path / "out")
    (out / "scores.csv").write_bytes(content)
    (out / "overlay.mp4").unlink()
    before = snapshot(out)
    result = again(agss, clip, out)
    assert result.exit_code == 2, result.output
    assert "scores.csv is not as the run wrote it" in " ".join(result.stderr.split())
    assert snapshot(out) == before
    shutil.move(out / "scores.csv", tmp_path / "mine.csv")
    assert "lacks 1 of its files" in " ".join(again(agss, clip, out).stderr.split())
    assert again(agss, clip, out, "--overwrite").exit_code == 0


def test_an_unfinished_run_does_not_go_over_a_mask_that_was_drawn_again(agss, clip, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "step", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert again(agss, clip, out).exit_code == 130
    write_label_map(out / "masks" / "00003.png", np.full((64, 96), 7, np.uint8))
    result = again(agss, clip, out)
    assert result.exit_code == 2
    assert "masks/00003.png" in result.stderr
    assert read_label_map(out / "masks" / "00003.png").max() == 7


def test_links_planted_where_files_are_written_lead_nowhere(agss, clip, tmp_path):
    out, target = tmp_path / "out", tmp_path / "target"
    target.write_text("mine")
    out.mkdir()
    for name in (".scores.csv.part", ".run.json.part", ".overlay.mp4.part"):
        (out / name).symlink_to(target)
    assert again(agss, clip, out).exit_code == 0
    assert target.read_text() == "mine"


def test_what_a_run_left_that_ended_while_it_wrote_its_first_record_goes_with_the_next_one(agss, clip, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / f".run.json.{'0' * 16}.part").write_text('{"asked"')
    assert again(agss, clip, out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == [".states", "masks", "overlay.mp4", "run.json", "scores.csv"]


def test_two_runs_into_one_folder_and_the_second_is_told_who_holds_it(agss, clip, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    before = snapshot(done)
    with held(out / ".lock"):
        result = again(agss, clip, out, "--overwrite")
    assert result.exit_code == 2
    assert f"process {os.getpid()}" in result.stderr
    assert snapshot(out) == before


def start(clip, out, *more):
    words = ["track", clip / "clip.mp4", "--masks", clip / "truth/00000.png", "--out", out, *more]
    command = [sys.executable, "-m", "agss_model", *map(str, words), "--weights", "propagation", "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("AGSS_KILLS", "4"))))
def test_kills_at_any_moment_cost_nothing_and_the_same_command_finishes(agss, clip, done, tmp_path, seed):
    out = shutil.copytree(done, tmp_path / "out")
    more = ["--overwrite", "--to", "7"]
    process = start(clip, out, *more)
    deadline = time.monotonic() + 60
    while not (out / ".next").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(np.random.default_rng(seed).uniform(0, 1.2))
    process.kill()
    process.communicate()
    masks = snapshot(out / "masks")
    assert len(masks) >= 8
    assert masks.items() <= snapshot(done / "masks").items()  # the shorter run finds the same masks
    (out / "mine.txt").write_text("mine")
    refused = again(agss, clip, out, "--overwrite", "--to", "5")
    assert refused.exit_code == 2, refused.output
    assert (out / "mine.txt").read_text() == "mine"
    (out / "mine.txt").unlink()
    assert again(agss, clip, out, "--to", "7").exit_code in (0, 2)  # 2: killed before the new run was noted
    assert again(agss, clip, out, *more).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == [".states", "masks", "overlay.mp4", "run.json", "scores.csv"]
    assert sorted(snapshot(out / "masks")) == sorted(masks)[:8] or len(masks) == COUNT
    assert len(snapshot(out / "masks")) == 8
