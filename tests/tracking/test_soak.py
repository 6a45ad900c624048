"""Long clips: memory stays where it was, whatever comes and goes.

AGSS_SOAK_FRAMES in the environment makes the runs longer; `pytest -s` shows the memory after every thousand frames.
"""

from __future__ import annotations

import os
from itertools import cycle
from pathlib import Path

import pytest
from soak import Soak

import agss_model
from agss_model import Tracker, load_model, open_source
from agss_model.masks import read_label_map, to_masks
from agss_model.video import VideoWriter
from agss_model.weights.registry import shipped_models

DEMO = Path(agss_model.__file__).parent / "demo_clip"
LENGTH = os.environ.get("AGSS_SOAK_FRAMES")


def frames_of(videos, count):
    """Frames and their numbers within the video; videos are opened anew, over and over."""
    for path in cycle(videos):
        with open_source(path) as source:
            for number, frame in enumerate(source.frames(0)):
                yield number, frame
                count -= 1
                if not count:
                    return


def run(tracker, videos, masks, count):
    """Track through so many frames; the last object leaves every hundred frames and comes back ten later.

    `masks` gives those of a frame by its number within the video.
    """
    soak = Soak(count)
    for step, (number, frame) in enumerate(frames_of(videos, count), 1):
        everyone = masks(number)
        last = max(everyone)
        if step == 1:
            tracker.add(frame, everyone)
        elif step % 100 == 10 and last not in tracker.object_ids:
            tracker.add(frame, {last: everyone[last]})
        else:
            tracker.step(frame)
        if step % 100 == 0:
            tracker.remove([last])
        soak.note(step)
    soak.check()
    assert len(tracker.memory.permanent) <= tracker.network.config.max_references


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_memory_is_flat_over_many_frames_with_objects_coming_and_going(lite, make_scene, tmp_path):
    videos = []
    for seed in range(3):
        scene = make_scene(objects=2, size=(96, 128), seed=seed)
        videos.append(tmp_path / f"{seed}.mp4")
        with VideoWriter(videos[-1], 25, (128, 96)) as writer:
            for t in range(30):
                writer.write(scene.frame(t))
    run(Tracker(lite), videos, make_scene(objects=2, size=(96, 128)).masks, int(LENGTH or 640))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.skipif("lite" not in shipped_models(), reason="no weights are shipped")
@pytest.mark.skipif(
    not LENGTH, reason="takes thousands of frames, until every size of canvas was met: set AGSS_SOAK_FRAMES"
)
def test_memory_is_flat_with_the_shipped_weights():
    first = to_masks(read_label_map(DEMO / "pedestrians_first.png"))
    run(Tracker(load_model("lite")), [DEMO / "pedestrians.mp4"], lambda number: first, int(LENGTH or 0))
