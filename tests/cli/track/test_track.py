from __future__ import annotations

import json
import shutil
import signal

import numpy as np
import pytest
from little_clip import COUNT, HEIGHT, WIDTH, snapshot

from agss_model.masks import object_ids, read_label_map, write_label_map
from agss_model.runs import recorder
from agss_model.runs.scores import read_rows
from agss_model.tracking.tracker import Tracker
from agss_model.video import open_source


def track(agss, clip, out, *more, masks="truth/00000.png"):
    return agss("track", clip / "clip.mp4", "--masks", clip / masks, "--out", out, *more)


def numbers(out):
    return [int(path.stem) for path in sorted((out / "masks").iterdir())]


def folder_of_masks(clip, folder, *frames):
    folder.mkdir()
    for frame in frames:
        shutil.copy(clip / "truth" / f"{frame:05d}.png", folder)
    return folder


def break_at(monkeypatch, number, error):
    """Lets tracking of one frame fail once."""
    step, left = Tracker.step, [error]

    def failing(self, frame, frame_index=None):
        if frame_index == number and left:
            raise left.pop()
        return step(self, frame, frame_index)

    monkeypatch.setattr(Tracker, "step", failing)


def test_every_frame_gets_a_mask_scores_and_a_place_in_the_overlay(clip, done):
    assert numbers(done) == list(range(COUNT))
    rows = list(read_rows(done / "scores.csv"))
    assert [(row.frame, row.object_id) for row in rows] == [(n, i) for n in range(COUNT) for i in (1, 2)]
    for row in rows:
        label_map = read_label_map(done / "masks" / f"{row.frame:05d}.png")
        assert row.area == np.count_nonzero(label_map == row.object_id)
        assert row.human == (row.frame == 0)
        assert row.lost == (row.area == 0)
    with open_source(done / "overlay.mp4") as overlay:
        assert len(overlay) == COUNT
        assert overlay.size == (WIDTH, HEIGHT)
    assert json.loads((done / "run.json").read_text())["finished"]
    assert sorted(path.name for path in done.iterdir()) == [".states", "masks", "overlay.mp4", "run.json", "scores.csv"]


def test_the_given_mask_stands_as_drawn_and_the_objects_are_followed(clip, done):
    given, last = (read_label_map(clip / "truth" / f"{n:05d}.png") for n in (0, COUNT - 1))
    assert np.array_equal(read_label_map(done / "masks" / "00000.png"), given)
    found = read_label_map(done / "masks" / f"{COUNT - 1:05d}.png")
    for object_id in (1, 2):
        one, two = found == object_id, last == object_id
        assert (one & two).sum() > 0.5 * (one | two).sum()


@pytest.mark.parametrize("kind", ["killed", "interrupted"])
def test_an_interrupted_run_continues_with_the_same_masks(agss, clip, done, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(recorder, "SAVE_EVERY", 3)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        if kind == "killed":  # without a chance to save: the state is from an earlier frame
            break_at(patch, 7, KeyboardInterrupt())
        else:
            step = Tracker.step

            def interrupted(self, frame, frame_index=None):
                if frame_index == 7:
                    signal.raise_signal(signal.SIGINT)
                return step(self, frame, frame_index)

            patch.setattr(Tracker, "step", interrupted)
        stopped = track(agss, clip, out)
    assert stopped.exit_code == 130
    assert "continues" in stopped.stderr
    early = snapshot(out / "masks")
    assert 7 <= len(early) < COUNT
    assert not (out / "scores.csv").exists()

    tracked = []
    step = Tracker.step
    monkeypatch.setattr(Tracker, "step", lambda self, frame, n: tracked.append(n) or step(self, frame, n))
    result = track(agss, clip, out)
    assert result.exit_code == 0, result.output
    assert tracked[0] == (6 if kind == "killed" else 8)
    assert tracked == list(range(tracked[0], COUNT))
    assert early.items() <= snapshot(out / "masks").items()
    assert snapshot(out / "masks") == snapshot(done / "masks")
    assert (out / "scores.csv").read_bytes() == (done / "scores.csv").read_bytes()
    assert not (out / ".progress").exists()


@pytest.mark.parametrize("damage", ["state", "mask", "log"])
def test_an_unfinished_run_with_missing_traces_goes_on_from_what_is_whole(
    agss, clip, done, tmp_path, monkeypatch, damage
):
    monkeypatch.setattr(recorder, "SAVE_EVERY", 3)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        break_at(patch, 7, KeyboardInterrupt())
        track(agss, clip, out)
    if damage == "state":
        for state in (out / ".states").iterdir():
            state.write_bytes(b"torn")
    elif damage == "mask":
        (out / "masks" / "00002.png").unlink()
    else:
        (out / ".progress" / "scores.csv").write_text("")
    result = track(agss, clip, out)
    assert result.exit_code == 0, result.output
    assert "goes on" in result.stderr
    assert snapshot(out / "masks") == snapshot(done / "masks")
    assert (out / "scores.csv").read_bytes() == (done / "scores.csv").read_bytes()


def test_a_finished_run_repeated_does_nothing(agss, clip, done, tmp_path, monkeypatch):
    out = shutil.copytree(done, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    monkeypatch.setattr(Tracker, "step", None)
    result = track(agss, clip, out)
    assert result.exit_code == 0
    assert "complete" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_finished_run_only_gets_the_overlay_it_lacks(agss, clip, done, tmp_path, monkeypatch):
    out = shutil.copytree(done, tmp_path / "out")
    (out / "overlay.mp4").unlink()
    monkeypatch.setattr(Tracker, "step", None)
    assert track(agss, clip, out).exit_code == 0
    assert (out / "overlay.mp4").exists()


def test_a_finished_run_that_lacks_masks_is_not_called_complete(agss, clip, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    (out / "masks" / "00004.png").unlink()
    result = track(agss, clip, out)
    assert result.exit_code == 2
    assert "00004.png" in result.stderr


def test_another_run_in_the_same_folder_is_refused_until_overwrite(agss, clip, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    before = snapshot(out)
    refused = track(agss, clip, out, "--to", "5")
    assert refused.exit_code == 2
    assert "source.to" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert snapshot(out) == before
    assert track(agss, clip, out, "--overwrite", "--to", "5").exit_code == 0
    assert numbers(out) == list(range(6))
    assert not (out / ".next").exists()


def test_files_of_unknown_origin_are_not_overwritten(agss, clip, tmp_path):
    out = tmp_path / "out"
    (out / "masks").mkdir(parents=True)
    (out / "masks" / "00000.png").write_text("somebody's work")
    before = snapshot(out)
    result = track(agss, clip, out)
    assert result.exit_code == 2
    assert "masks" in result.stderr
    assert snapshot(out) == before


def test_an_overwriting_run_that_fails_leaves_the_earlier_output_and_goes_on_later(agss, clip, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    before = snapshot(out)
    frames = shutil.copytree(clip / "frames", tmp_path / "frames")
    whole = (frames / "00006.png").read_bytes()
    (frames / "00006.png").write_bytes(b"x" * len(whole))
    words = ["track", frames, "--masks", clip / "truth" / "00000.png", "--out", out, "--overwrite"]
    result = agss(*words)
    assert result.exit_code == 2
    assert "00006.png" in result.stderr
    assert {name: data for name, data in snapshot(out).items() if not name.startswith(".next")} == before
    (frames / "00006.png").write_bytes(whole)
    result = agss(*words)
    assert result.exit_code == 0
    assert "6 of 10 frames are done" in result.stderr
    assert not (out / ".next").exists()


def test_a_run_that_fails_in_a_clip_keeps_its_masks_and_goes_on_once_the_clip_is_mended(agss, clip, tmp_path):
    frames = shutil.copytree(clip / "frames", tmp_path / "frames")
    whole = (frames / "00006.png").read_bytes()
    (frames / "00006.png").write_bytes(b"x" * len(whole))
    words = ["track", frames, "--masks", clip / "truth" / "00000.png", "--out", tmp_path / "out"]
    assert agss(*words).exit_code == 2
    assert len(numbers(tmp_path / "out")) == 6
    (frames / "00006.png").write_bytes(whole)
    assert agss(*words).exit_code == 0
    assert numbers(tmp_path / "out") == list(range(COUNT))


def test_backward_reaches_the_frames_before_the_mask(agss, clip, tmp_path):
    result = track(agss, clip, tmp_path / "out", "--direction", "backward", masks="truth/00006.png")
    assert result.exit_code == 0, result.output
    assert numbers(tmp_path / "out") == list(range(7))
    assert "3 frames" in result.stderr


def test_both_ways_resumes_with_the_same_result(agss, clip, tmp_path, monkeypatch):
    masks = folder_of_masks(clip, tmp_path / "given", 0, 6)
    words = ["--direction", "both", "--overlay", "none"]
    assert track(agss, clip, tmp_path / "whole", *words, masks=masks).exit_code == 0
    with monkeypatch.context() as patch:
        break_at(patch, 8, KeyboardInterrupt())
        assert track(agss, clip, tmp_path / "out", *words, masks=masks).exit_code == 130
    early = snapshot(tmp_path / "out" / "masks")
    assert early
    assert track(agss, clip, tmp_path / "out", *words, masks=masks).exit_code == 0
    whole = snapshot(tmp_path / "whole")
    assert early.items() <= {k[6:]: v for k, v in whole.items()}.items()
    assert snapshot(tmp_path / "out") == whole
    assert numbers(tmp_path / "out") == list(range(COUNT))


def test_from_and_to_limit_the_output_not_the_tracking(agss, clip, done, tmp_path):
    out = tmp_path / "out"
    assert track(agss, clip, out, "--from", "4", "--to", "6").exit_code == 0
    assert numbers(out) == [4, 5, 6]
    assert snapshot(out / "masks").items() <= snapshot(done / "masks").items()
    with open_source(out / "overlay.mp4") as overlay:
        assert len(overlay) == 3


def test_an_object_that_enters_later_joins(agss, clip, tmp_path):
    label_map = read_label_map(clip / "truth" / "00000.png")
    (tmp_path / "given").mkdir()
    write_label_map(tmp_path / "given" / "0.png", np.where(label_map == 2, 0, label_map).astype(np.uint8))
    shutil.copy(clip / "truth" / "00005.png", tmp_path / "given" / "frame_5.png")
    assert track(agss, clip, tmp_path / "out", masks=tmp_path / "given").exit_code == 0
    seen = {n: object_ids(read_label_map(tmp_path / "out" / "masks" / f"{n:05d}.png")) for n in range(COUNT)}
    assert 2 not in seen[4]
    assert seen[5] == (1, 2)


def test_a_mask_named_by_number_belongs_to_that_frame(agss, clip, tmp_path):
    assert track(agss, clip, tmp_path / "out", masks="truth/00004.png").exit_code == 0
    assert numbers(tmp_path / "out") == list(range(4, COUNT))


@pytest.mark.parametrize("pattern", ["{:05d}", "img_{}_left"])
def test_a_mask_called_like_an_image_belongs_to_it(agss, clip, tmp_path, pattern):
    frames, masks = tmp_path / "frames", tmp_path / "masks"
    frames.mkdir()
    masks.mkdir()
    for number in range(4):
        shutil.copy(clip / "frames" / f"{number:05d}.png", frames / f"{pattern.format(number + 8)}.png")
    for number in (1, 3):
        shutil.copy(clip / "truth" / f"{number:05d}.png", masks / f"{pattern.format(number + 8)}.png")
    for given in (masks, masks / f"{pattern.format(9)}.png"):
        out = tmp_path / given.name / "out"
        result = agss("track", frames, "--masks", given, "--out", out)
        assert result.exit_code == 0, result.output
        assert numbers(out) == [1, 2, 3]
        assert [row.frame for row in read_rows(out / "scores.csv") if row.human] == (
            [1, 1, 3, 3] if given == masks else [1, 1]
        )


def test_masks_of_which_not_all_are_called_like_images_go_by_number_and_it_is_said(agss, clip, tmp_path):
    frames, masks = tmp_path / "frames", tmp_path / "masks"
    frames.mkdir()
    masks.mkdir()
    for number in range(3):
        shutil.copy(clip / "frames" / f"{number:05d}.png", frames / f"{number + 1:05d}.png")
    for number in (0, 1):
        shutil.copy(clip / "truth" / f"{number:05d}.png", masks)
    result = agss("track", frames, "--masks", masks, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "is frame 0" in result.stderr
    assert numbers(tmp_path / "out") == [0, 1, 2]


def test_threads_and_weights_file_and_flow_are_used(agss, clip, tmp_path, tiny_weights):
    result = track(agss, clip, tmp_path / "out", "--weights", tiny_weights, "--flow", "none", "--to", "2")
    assert result.exit_code == 0, result.output
    asked = json.loads((tmp_path / "out" / "run.json").read_text())["asked"]
    assert asked["config"]["architecture"] == "lite"
    assert asked["config"]["use_flow"] is False
