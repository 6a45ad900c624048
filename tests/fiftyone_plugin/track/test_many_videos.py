"""Fifty videos in one run: memory, overhead, and being killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fiftyone as fo
import psutil
import pytest
from little_videos import drawn, plain, video_sample, write_video

from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings

ROOT = Path(__file__).resolve().parents[3]
VIDEOS, FRAMES, OBJECTS = 50, 6, 5
CHILD = """
import sys, torch
import fiftyone as fo
from agss_model.weights.registry import load_model
from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings
torch.set_num_threads(1)
network = load_model("lite", max_side=128, small_object=0)
run = TrackingRun(fo.load_dataset(sys.argv[1]), TrackSettings("gt", "tracks"), network)
for progress in run:
    print(progress.label, flush=True)
print(run.summary, flush=True)
"""


@pytest.fixture
def data(make_scene, tmp_path):
    scene = make_scene(OBJECTS, size=(120, 160))
    made = fo.Dataset(persistent=True)
    path = write_video(tmp_path / "squares.mp4", scene, FRAMES)
    samples = []
    for number in range(VIDEOS):
        copy = tmp_path / f"{number:02d}.mp4"
        os.link(path, copy)
        samples.append(video_sample(copy, {2: drawn(scene, 2)}))
    made.add_samples(samples)
    yield made
    made.delete()


def start(dataset):
    return subprocess.Popen([sys.executable, "-c", CHILD, dataset.name], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def tracked(dataset, objects=OBJECTS):
    """Detections in each frame that was written; each object at most once."""
    dataset.reload()
    counts = []
    for video in dataset.values("frames.tracks.detections.index"):
        for indexes in video or []:
            if indexes is not None:
                assert len(set(indexes)) == len(indexes) <= objects
                counts.append(len(indexes))
    return counts


@pytest.mark.slow
def test_killed_in_the_middle_and_restarted_nothing_is_lost_and_nothing_twice(data):
    first = start(data)
    for line in first.stdout:
        if line.startswith("clip 8 ") and ": frame" in line:
            break
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before = plain(data, "tracks")
    assert 7 * FRAMES <= len(before) < VIDEOS * FRAMES
    second = start(data)
    summary = second.communicate()[0].splitlines()[-1]
    assert second.returncode == 0
    assert f"{VIDEOS - 7} clips tracked" in summary
    assert "7 clips had been tracked before" in summary
    after = plain(data, "tracks")
    assert len(after) == VIDEOS * FRAMES
    finished = [place for place in before if int(Path(place[0]).stem) < 7]
    assert len(finished) == 7 * FRAMES
    assert all(after[place] == before[place] for place in finished)
    assert len(tracked(data)) == VIDEOS * FRAMES
    instances = data.values("frames.tracks.detections.instance.id", unwind=True)
    assert len(set(instances)) == VIDEOS * OBJECTS


@pytest.mark.slow
def test_memory_stays_flat_and_labels_cost_a_small_share(data, little_network):
    process = psutil.Process()
    run = TrackingRun(data, TrackSettings("gt", "tracks"), little_network)
    sizes = []
    clip = ""
    began = time.process_time()
    for progress in run:
        name = progress.label.split(":")[0]
        if name != clip:
            clip = name
            sizes.append(process.memory_info().rss)
    assert run.summary.tracked == VIDEOS
    assert run.summary.objects == VIDEOS * OBJECTS
    assert len(tracked(data)) == VIDEOS * FRAMES
    warm, end = max(sizes[8:14]), max(sizes[-6:])
    assert end < warm * 1.05, f"{warm / 2**20:.0f} MiB after ten videos, {end / 2**20:.0f} MiB at the end"
    share = run.summary.label_seconds / run.summary.tracking_seconds
    print(f"labels {share:.1%} of tracking, {time.process_time() - began:.0f} s, {end / 2**20:.0f} MiB")
    # With this little network (30 ms a frame); with the shipped one on real videos it is a fraction.
    assert share < 1
