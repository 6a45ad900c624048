"""What a tracker was told and how good it was: recorded once, gone on with, and fitted by one command."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from little_data import make_videos
from typer.testing import CliRunner

from agss_model.errors import MediaError, OutputError
from agss_model.tracking.clues import NAMES
from agss_model.tracking.quality import ScoreHead
from agss_model.weights.files import read_weights
from agss_model.weights.registry import digest_of
from training.scores import record
from training.scores.__main__ import app, main
from training.scores.collect import collect
from training.scores.fit import is_held_out, read_tables
from training.scores.lessons import LessonSource
from training.scores.record import Lesson, Table, run_freely

SIZE = (4, 10)


class OneBehind:
    """A tracker whose masks are those of the frame before, that never finds object 2, and is sure of everything."""

    def __init__(self):
        self.object_ids, self.clues, self.masks, self.observed = (), None, {}, False

    def add(self, frame, masks, index):
        self.masks |= masks
        self.object_ids = tuple(sorted(self.masks))

    def step(self, frame, index):
        assert self.observed, "without it there are no clues"
        self.clues = torch.full((len(self.object_ids), len(NAMES)), float(index))
        found = bar(index - 1) if 1 in self.object_ids else np.zeros(SIZE, np.uint8)
        scores = {object_id: 0.9 for object_id in self.object_ids}
        return SimpleNamespace(label_map=found, object_ids=self.object_ids, scores=scores, lost={2} & {*self.masks})


def bar(index, value=1):
    """Object 1: two columns wide, one column further in each frame."""
    label_map = np.zeros(SIZE, np.uint8)
    label_map[:, index : index + 2] = value
    return label_map


ENGINE = SimpleNamespace(tracker=OneBehind)


def lesson(name="clip"):
    """Object 1 from frame 1 on; 2 is given in frame 3 and is there in that frame only; nothing is known of frame 5."""
    above = np.arange(SIZE[0])[:, None] < 1  # object 2 covers the row above the bar's

    def truth(index):
        label_map = bar(index)
        if index == 3:
            label_map = np.where(above, 2, label_map).astype(np.uint8)
        return None if index == 5 else (label_map, np.zeros(SIZE, np.bool_))

    given = {1: bar(1), 3: np.where(truth(3)[0] == 2, 2, 0).astype(np.uint8)}
    return Lesson(name, 7, lambda index: np.zeros((*SIZE, 3), np.uint8), truth, given)


def test_each_mask_is_recorded_with_its_clues_and_its_iou():
    """One column of three is right, 1/3; in frame 3 three rows of it: 3 pixels of 8 + 6 - 3, 3/11. Of object 2 there is
    nothing to find after frame 3, and nothing found: no number."""
    table = run_freely(lesson(), ENGINE)
    rows = list(zip(table.frame.tolist(), table.object_id.tolist(), table.lost.tolist(), strict=True))
    assert rows == [(2, 1, False), (3, 1, False), (4, 1, False), (4, 2, True), (6, 1, False), (6, 2, True)]
    assert table.iou.tolist() == pytest.approx([1 / 3, 3 / 11, 1 / 3, np.nan, 1 / 3, np.nan], nan_ok=True)
    assert table.clues[:, 0].tolist() == [2, 3, 4, 4, 6, 6]
    assert table.score.tolist() == pytest.approx([0.9] * 6)


def test_a_clip_in_which_nothing_is_given_is_an_empty_table():
    table = run_freely(Lesson("empty", 3, lesson().picture, lesson().truth, {}), ENGINE)
    assert table.clues.shape == (0, len(NAMES))
    assert len(table.iou) == 0


def sources(*names):
    return [LessonSource(name, lambda name=name: lesson(name)) for name in names]


def test_the_same_call_goes_on_where_it_stopped(tmp_path):
    said = []
    assert collect(sources("a", "b", "c"), ENGINE, tmp_path, said.append, most=2) == 2
    assert said == ["a: 6 masks", "b: 6 masks"]
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert collect(sources("a", "b", "c"), ENGINE, tmp_path, said.append) == 3
    assert said[2:] == ["c: 6 masks"]
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == before


def test_a_clip_that_cannot_be_used_is_named_and_the_others_go_on(tmp_path):
    def broken():
        raise MediaError("no picture here")

    said = []
    parts = [LessonSource("bad", broken), *sources("good")]
    assert collect(parts, ENGINE, tmp_path, said.append) == 1
    assert said == ["bad: left out, no picture here", "good: 6 masks"]
    assert [path.name for path in tmp_path.iterdir()] == ["good.npz"]


def test_clues_are_found_by_name_and_tables_without_one_are_made_again(tmp_path, monkeypatch):
    table = run_freely(lesson(), ENGINE)
    table.clues[:] = np.arange(len(NAMES))
    monkeypatch.setattr(record, "NAMES", NAMES[::-1])  # as an earlier version may have had them
    table.save(tmp_path / "turned.npz")
    monkeypatch.setattr(record, "NAMES", NAMES[1:])
    Table(**vars(table) | {"clues": table.clues[:, 1:]}).save(tmp_path / "old.npz")
    monkeypatch.undo()
    assert Table.load(tmp_path / "turned.npz").clues[0].tolist() == list(range(len(NAMES)))[::-1]
    assert Table.load(tmp_path / "old.npz") is None
    assert list(read_tables(tmp_path)) == ["turned"]
    said = []
    collect(sources("turned", "old"), ENGINE, tmp_path, said.append)
    assert said == ["old: 6 masks"]
    assert list(read_tables(tmp_path)) == ["old", "turned"]


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "lacking"])
def test_a_damaged_table_is_named(tmp_path, damage):
    path = tmp_path / "a.npz"
    run_freely(lesson(), ENGINE).save(path)
    whole = path.read_bytes()
    if damage == "lacking":
        np.savez(path, names=np.array(NAMES))
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"no table"}[damage])
    with pytest.raises(MediaError, match=r"a\.npz is damaged.*run collect again"):
        read_tables(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="file"):
        collect(sources("a"), ENGINE, tmp_path / "file" / "tables", print)
    (tmp_path / "tables").mkdir()
    with pytest.raises(OutputError, match=r"a\.npz"):
        run_freely(lesson(), ENGINE).save(tmp_path / "gone" / "a.npz")


def spread(tables, good):
    """A table of 40 masks for each of some clips, both kinds of them, and only good ones where `good` says so."""
    rng = np.random.default_rng(0)
    clues = rng.random((40, len(NAMES)), np.float32)
    for name in ("a", "b", "c", "d", "e", "f"):
        iou = np.where(good, 0.9, clues[:, 0]).astype(np.float32)
        zero = np.zeros(40, np.int32)
        Table(clues, iou, np.arange(40, dtype=np.int32), zero + 1, iou, zero > 0).save(tables / f"{name}.npz")


def test_one_command_collects_and_the_other_fits_a_head_that_a_network_takes(tmp_path):
    make_videos(tmp_path / "video_train", ["a", "b"], frames=3)
    tables, out = tmp_path / "tables", tmp_path / "head.safetensors"
    words = ["collect", "--data", tmp_path, "--tables", tables, "--made", 0, "--device", "cpu", "--engine", "torch"]
    done = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    names = {"a", "a+backwards", "a+cut", "b", "b+backwards", "b+cut"}
    assert {path.stem for path in tables.iterdir()} == names
    assert {line.split(":")[0] for line in done.output.splitlines()} == names
    spread(tables, good=False)
    done = CliRunner().invoke(app, ["fit", "--tables", str(tables), "--out", str(out)], catch_exceptions=False)
    report = json.loads((tables / "fit.json").read_text())
    assert f"wrote {out}" in done.output
    tables_found = read_tables(tables)
    masks = {held: sum(len(t.iou) for n, t in tables_found.items() if is_held_out(n) == held) for held in (True, False)}
    assert {False: report["fitted"]["masks"], True: report.get("held out", {"masks": 0})["masks"]} == masks
    state, _, about = read_weights(out)
    assert ScoreHead.of(state, about) is not None
    assert about["base"] == digest_of("lite")
    assert json.loads(about["judged"]) == report


@pytest.mark.parametrize(("prepare", "message"), [(False, "holds no table"), (True, "good and bad masks")])
def test_what_is_to_be_put_right_is_said_in_a_sentence_and_no_head_is_written(
    tmp_path, monkeypatch, capsys, prepare, message
):
    if prepare:
        spread(tmp_path, good=True)
    out = tmp_path / "head.safetensors"
    monkeypatch.setattr(sys, "argv", ["scores", "fit", "--tables", str(tmp_path), "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert "Traceback" not in said
    assert not out.exists()
