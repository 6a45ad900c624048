"""What reading and writing labels costs beside tracking: fifty real clips with five objects each, shipped weights.

Run it by hand, as it takes minutes: `python tests/fiftyone_plugin/track/overhead.py [VIDEOS]`. Needs the data folder
that `tests/conftest.py` names. Times are processor time, as wall time says little on a shared machine: labels are
what the tracking thread spends on them, the rest of the process is tracking, and the database counts as labels.
"""

# ruff: noqa: E402 - modules beside are found only after the path is set
from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

sys.path[:0] = [str(Path(__file__).parents[2] / "support"), str(Path(__file__).parents[1])]

import cv2
import database
import fiftyone as fo
import numpy as np
import psutil
import torch
from little_videos import detection, video_sample
from shared_folder import SHARED

from agss_model.masks import read_label_map
from agss_model.video import VideoWriter, open_source
from fiftyone_plugin.track import tracking, writing
from fiftyone_plugin.track.models import load_network

OBJECTS = 5
DAVIS, MANY, CLIPS = (SHARED / "data" / name for name in ("davis2016_dev", "multi_dev", "clips"))


def cuts():
    """(frames, frame rate, label map of the first or None): every video of the data folder, piece by piece."""
    sources = [(folder, folder.parents[1] / "Annotations" / folder.name)
               for root in (DAVIS, MANY) for folder in sorted((root / "JPEGImages").iterdir())]  # fmt: skip
    sources += [(path, None) for path in sorted(CLIPS.glob("*.mp4"))]
    start = 0
    while True:
        for place, (path, masks) in enumerate(sources):
            with open_source(path) as source:
                length = 25 + (7 * place + start) % 16
                first = start * (1 if masks else 2)
                if first + length <= len(source):
                    truth = read_label_map(masks / f"{first:05d}.png") if masks else None
                    yield list(source.frames(first, first + length)), source.fps, truth
        start += 30


def prompts(frame, truth):
    """Five objects: those of the ground truth, and ellipses on what is there."""
    height, width = frame.shape[:2]
    masks = {} if truth is None else {int(i): truth == i for i in np.unique(truth) if 0 < i <= OBJECTS}
    for i in range(1, OBJECTS + 1):
        if i in masks and masks[i].any():
            continue
        mask = np.zeros((height, width), np.uint8)
        middle = (width * (2 * i - 1) // 10, height * (35 + 15 * (i % 3)) // 100)
        cv2.ellipse(mask, middle, (width // 14, height // 8), 20 * i, 0, 360, 1, -1)
        masks[i] = mask > 0
    return fo.Detections(detections=[detection(mask, index=i) for i, mask in masks.items()])


def make(folder, count):
    dataset = fo.Dataset()
    for number, (frames, fps, truth) in zip(range(count), cuts(), strict=False):
        path = folder / f"{number:02d}.mp4"
        with VideoWriter(path, fps, frames[0].shape[1::-1]) as writer:
            for frame in frames:
                writer.write(frame)
        dataset.add_sample(video_sample(path, {0: prompts(frames[0], truth)}))
    return dataset


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    torch.set_num_threads(1)
    mongod = psutil.Process(database.database.__wrapped__().pid)
    clock = SimpleNamespace(perf_counter=time.thread_time, monotonic=time.monotonic)
    tracking.time = writing.time = clock
    with tempfile.TemporaryDirectory() as folder:
        data = make(Path(folder), count)
        network = load_network()
        process = psutil.Process()
        before = time.process_time(), sum(mongod.cpu_times()[:2])
        run = tracking.TrackingRun(data, tracking.TrackSettings("gt", "tracks"), network)
        sizes, clip = [], ""
        for progress in run:
            if (name := progress.label.split(":")[0]) != clip:
                clip = name
                sizes.append(round(process.memory_info().rss / 2**20))
                total, stored = time.process_time() - before[0], sum(mongod.cpu_times()[:2]) - before[1]
                print(json.dumps(numbers(run.summary, total, stored)), flush=True)  # so far, as it takes long
    print(json.dumps({"runs_on": type(network.runner).__name__, "failed": run.summary.failed, "rss_mib": sizes}))


def numbers(summary, total, stored):
    """Seconds of processor time, and what they come to."""
    labels, frames = summary.label_seconds, max(summary.frames, 1)
    return {
        "videos": summary.tracked, "frames": summary.frames, "objects": summary.objects,
        "process_s": round(total, 2), "labels_s": round(labels, 2), "database_s": round(stored, 2),
        "share_of_tracking": round(labels / (total - labels), 4),
        "share_with_database": round((labels + stored) / (total - labels), 4),
        "ms_a_frame": round(1000 * total / frames, 1), "labels_ms_a_frame": round(1000 * labels / frames, 2),
    }  # fmt: skip


if __name__ == "__main__":
    main()
