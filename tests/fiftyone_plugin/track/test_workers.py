"""Several workers on one dataset: each clip by one of them, and those of a dead one by the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fiftyone as fo
import pytest
from fiftyone.core.odm.database import get_db_conn
from fiftyone.operators.delegated import DelegatedOperationService
from little_videos import drawn, plain, video_sample, write_video

from fiftyone_plugin.track import claims
from fiftyone_plugin.track.claims import COLLECTION, Claims
from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings

ROOT = Path(__file__).resolve().parents[3]
VIDEOS, FRAMES, WORKERS = 7, 3, 3
PATIENCE = 1500
"""Seconds until a hang is one: nothing here depends on how fast the machine is."""
LAUNCH = """
import sys, time
from pathlib import Path
from fiftyone.core.cli import main
from fiftyone_plugin.track import claims
from fiftyone_plugin.track.tracking import TrackingRun

claims.LEASE = 10**8
track, gate = TrackingRun._track, Path(sys.argv.pop())

def waiting(self, claim):
    while not gate.exists():
        time.sleep(0.1)
    yield from track(self, claim)

TrackingRun._track = waiting
main()
"""
"""A worker of FiftyOne that holds its first clip until a file is there; its lease does not run out meanwhile."""


@pytest.fixture
def data(scene, tmp_path):
    made = fo.Dataset(persistent=True)
    path = write_video(tmp_path / "squares.mp4", scene, FRAMES)
    for number in range(VIDEOS):
        copy = tmp_path / f"{number:02d}.mp4"
        os.link(path, copy)
        made.add_sample(video_sample(copy, {2: drawn(scene, 2)}))
    yield made
    made.delete()


def notes():
    return get_db_conn()[COLLECTION]


@pytest.fixture
def clip(data):
    from fiftyone_plugin.data.clips import find_clips

    return find_clips(data)[0]


def test_a_clip_is_taken_by_one_run_and_free_again_when_it_is_done(data, clip):
    one, two = Claims(data.name, "x"), Claims(data.name, "x")
    with one.take(clip) as claim:
        assert two.take(clip) is None
        claim.finished = True
    with two.take(clip) as claim:
        assert claim.done
    with Claims(data.name, "other settings").take(clip) as claim:
        assert not claim.done


def test_work_that_was_not_finished_or_done_before_counts_for_nobody(data, clip):
    with Claims(data.name, "x").take(clip):
        pass
    with Claims(data.name, "x").take(clip) as claim:
        assert not claim.done
        claim.finished = True
    notes().update_one({"_id": {"$regex": clip.key}}, {"$inc": {"done": -10_000}})
    assert not Claims(data.name, "x").take(clip).done


def test_a_run_that_begins_later_leaves_what_others_have_just_done_and_forgets_what_is_old(data, clip):
    early = Claims(data.name, "x")
    with Claims(data.name, "x").take(clip) as claim:
        claim.finished = True
    Claims(data.name, "x")
    with early.take(clip) as claim:
        assert claim.done
    notes().update_one({"_id": {"$regex": clip.key}}, {"$inc": {"done": -2 * claims.KEPT}})
    Claims(data.name, "x")
    assert notes().find_one({"_id": {"$regex": clip.key}}) is None


def test_the_clip_of_a_worker_that_does_not_answer_is_free_after_a_while(data, clip, monkeypatch):
    monkeypatch.setattr(claims, "RENEWED", 0.05)
    slow = Claims(data.name, "x").take(clip)  # never renewed
    assert Claims(data.name, "x").take(clip) is None
    lapsed = {"$set": {"until": 1}}
    notes().update_one({"_id": {"$regex": clip.key}}, lapsed)
    with Claims(data.name, "x").take(clip) as claim:
        notes().update_one({"_id": {"$regex": clip.key}}, lapsed)
        wait(lambda: notes().find_one({"_id": {"$regex": clip.key}})["until"] > 1)  # renewed
        slow.__enter__()
        wait(lambda: slow.lost)
        assert not claim.lost
        slow.__exit__(None, None, None)


def test_the_clip_of_a_process_of_this_machine_that_is_no_more_is_free_at_once(data, clip):
    code = (
        "import fiftyone as fo, os, sys\n"
        "from fiftyone_plugin.data.clips import find_clips\n"
        "from fiftyone_plugin.track.claims import Claims\n"
        "Claims(sys.argv[1], 'x').take(find_clips(fo.load_dataset(sys.argv[1]))[0]).__enter__()\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, data.name], cwd=ROOT, check=False)
    assert notes().find_one({"_id": {"$regex": clip.key}})["until"] > 0
    assert Claims(data.name, "x").take(clip) is not None


def test_clips_that_others_have_are_passed_over_and_waited_for(data, clip, little_network, monkeypatch):
    monkeypatch.setattr("fiftyone_plugin.track.tracking.PAUSE", 0.1)
    view = data.limit(3)
    run = TrackingRun(view, TrackSettings("gt", "tracks"), little_network)
    held = Claims(f"{data._doc.id} tracks", "whatever").take(clip)
    held.__enter__()
    labels = []
    for progress in run:
        labels.append(progress.label)
        if "waiting for other workers" in progress.label:
            held.__exit__(None, None, None)
    assert [label.split(", ")[1] for label in labels if "frame" not in label][:2] == ["01.mp4", "02.mp4"]
    assert any("waiting" in label for label in labels)
    assert run.summary.tracked == 3


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
def test_three_workers_share_the_clips_and_those_of_a_killed_one_are_tracked_by_the_others(data, operator, tmp_path):
    operator("track_objects")(data, "gt", "tracks", workers=WORKERS, delegate=True)
    gate, done = tmp_path / "go", {"done": {"$exists": True}}
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", LAUNCH, "delegated", "launch", str(gate)],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        for _ in range(WORKERS)
    ]  # fmt: skip
    victim, *others = started
    try:
        wait(lambda: set(pids(data, {"until": {"$gt": 0}})) == {worker.pid for worker in started})
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        gate.touch()
        wait(lambda: len(pids(data, done)) == VIDEOS)
    finally:
        for worker in started:
            os.killpg(worker.pid, signal.SIGKILL) if worker.poll() is None else None
            worker.wait()
    assert len(plain(data, "tracks")) == VIDEOS * FRAMES
    assert set(pids(data, done)) == {worker.pid for worker in others}
    states = sorted(o.run_state for o in DelegatedOperationService().list_operations())
    assert states.count("queued") == 0


def pids(data, kind):
    """The processes of the notes of one kind about a dataset."""
    found = notes().find({"_id": {"$regex": f"^{data._doc.id} "}, **kind})
    return [int(note["owner"].split()[1]) for note in found]


def wait(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)
