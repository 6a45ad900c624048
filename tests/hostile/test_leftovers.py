"""What is being written has another name: of a process killed in the act it goes at the next start, whoever wrote."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from kills import Work

from agss_model import files
from agss_model.config import preset
from agss_model.cvat.exports import writer as cvat_writer
from agss_model.cvat.exports.meta import Task
from agss_model.files import is_leftover, remove_leftovers, replacing, scratch, unfinished, write_json
from agss_model.network import build_network
from agss_model.video.writer import VideoWriter
from agss_model.weights import bundles
from agss_model.weights.files import save_weights


def end(*_):
    """In the place of whatever comes next while something is being written."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(act, *arguments):
    process = Work(act, *arguments, log=os.devnull).start()
    process.join(300)
    return process.exitcode


def json_file(folder, killed):
    if killed:
        os.fsync = end
    write_json(folder / "report.json", {"a": 1})


def weights_file(folder, killed):
    if killed:
        os.fsync = end
    network = build_network(preset("propagation"))
    save_weights(folder / "w.safetensors", network.state_dict(), network.config, {})


def video_file(folder, killed):
    with VideoWriter(folder / "v.mp4", 10, (64, 48)) as video:
        for _ in range(3):
            video.write(np.zeros((48, 64, 3), np.uint8))
        if killed:
            end()


def cvat_file(folder, killed):
    task = Task(None, "a", 64, 48, 3)
    with cvat_writer.CvatXmlWriter(folder / "annotations.xml", task, {1: "person"}) as writer:
        writer.put(0, 1, np.ones((48, 64), bool))
        if killed:
            end()


def bundle(folder, killed):

    def write(place, version):
        (place / bundles.WEIGHTS).write_bytes(b"x")
        if killed:
            end()

    bundles.store_folder = lambda: folder
    bundles.add_bundle("team", write)


def scratch_folder(folder, killed):
    tempfile.tempdir = str(folder)
    with scratch() as work:
        assert work.parent == folder
        assert work.stat().st_mode & 0o077 == 0
        (work / "given.onnx").write_bytes(b"x")
        if killed:
            end()


WRITERS = [json_file, weights_file, video_file, cvat_file, bundle, scratch_folder]


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("write", WRITERS)
def test_killed_while_it_writes_and_started_again_a_writer_leaves_what_it_made(write, tmp_path):
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    folder.mkdir()
    whole.mkdir()
    assert in_a_process(write, whole, False) == 0
    for _ in range(2):
        assert in_a_process(write, folder, True) == -signal.SIGKILL
        left = [name for name in names(folder) if is_leftover(Path(name).name)]
        assert len(left) == 1, names(folder)  # of the kill before, nothing is left
    assert in_a_process(write, folder, False) == 0
    assert names(folder) == names(whole)


def test_nothing_else_makes_temporary_files():
    """Those of the standard library stay where a process was killed."""
    root = Path(files.__file__).parents[1]
    folders = ("agss_model", "serverless", "fiftyone_plugin", "training")
    modules = (path for folder in folders for path in (root / folder).rglob("*.py"))
    found = [path for path in modules if "tempfile" in path.read_text(encoding="utf-8")]
    assert found == [Path(files.__file__)]


def test_nobody_takes_what_another_process_is_writing(tmp_path):
    old = tmp_path / f".report.json.{'0' * 16}.part"
    old.write_text("half")
    (tmp_path / ".notes.part").write_text("mine")
    for folder in (False, True):
        with unfinished(tmp_path / "report.json", folder=folder) as part:
            os.utime(part, (0, 0))
            assert in_a_process(remove_leftovers, tmp_path) == 0
            remove_leftovers(tmp_path)
            assert names(tmp_path) == sorted([part.name, ".notes.part"])
        assert names(tmp_path) == [".notes.part"]


def test_links_and_pipes_under_such_names_are_neither_followed_nor_waited_for(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / f".a.{'0' * 16}.part").symlink_to(outside)
    os.mkfifo(folder / f".b.{'0' * 16}.part")
    began = time.monotonic()
    write_json(folder / "a.json", {})
    assert time.monotonic() - began < 30
    assert outside.read_text() == "mine"


def test_taken_for_a_leftover_before_it_was_locked_a_file_is_made_anew(tmp_path, monkeypatch):
    lock, taken = files._lock, []

    def late(part, *, wait):
        if wait and not taken:
            taken.append(part)
            part.unlink()
        return lock(part, wait=wait)

    monkeypatch.setattr(files, "_lock", late)
    with replacing(tmp_path / "a.json") as part:
        part.write_text("whole")
    assert taken
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "whole"


def test_a_file_system_without_locks_keeps_everything(tmp_path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    old = tmp_path / f".a.json.{'0' * 16}.part"
    old.write_text("maybe half, maybe being written")
    write_json(tmp_path / "a.json", {})
    assert names(tmp_path) == [old.name, "a.json"]


def test_weights_can_be_read_by_others_as_files_can(tmp_path):
    network = build_network(preset("propagation"))
    save_weights(tmp_path / "w.safetensors", network.state_dict(), network.config, {})
    (tmp_path / "plain").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
