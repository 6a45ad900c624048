"""The network that operators and zoo model run."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from little_videos import detection, masks_of, overlap, video_sample

import agss_model
from agss_model.engines import installed
from agss_model.masks import read_label_map, to_masks
from agss_model.video import VideoWriter, open_source
from agss_model.weights.registry import load_model
from fiftyone_plugin.track.models import load_network
from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings

CLIP = Path(agss_model.__file__).parent / "demo_clip"
FRAMES = 6


@pytest.fixture
def walkers(tmp_path):
    """The beginning of the shipped clip, seven people drawn on its first frame."""
    path = tmp_path / "walkers.mp4"
    with open_source(CLIP / "pedestrians.mp4") as source, VideoWriter(path, source.fps, source.size) as writer:
        for frame in source.frames(0, FRAMES):
            writer.write(frame)
    people = to_masks(read_label_map(CLIP / "pedestrians_first.png"))
    drawn = fo.Detections(detections=[detection(mask, index=i, label="person") for i, mask in people.items()])
    made = fo.Dataset()
    made.add_sample(video_sample(path, {0: drawn}))
    yield made, next(iter(people.values())).shape[::-1]
    made.delete()


@pytest.mark.slow
@pytest.mark.skipif(not installed("onnx"), reason='needs ONNX Runtime: pip install ".[onnx]"')
def test_a_faster_engine_runs_it_where_there_is_one_and_the_masks_are_torchs(walkers):
    data, size = walkers
    network = load_network("lite", "cpu")
    assert network.runner is not None
    assert load_network("lite", "cpu") is network
    for field, runs in (("fast", network), ("torch", load_model("lite"))):
        for _ in TrackingRun(data, TrackSettings("gt", field), runs):
            pass
    sample = data.first()
    for t in range(FRAMES):
        fast, torch = (masks_of(sample, t, field, size) for field in ("fast", "torch"))
        assert fast.keys() == torch.keys()
        overlaps = [overlap(fast[i], mask) for i, mask in torch.items()]
        assert min(overlaps) >= 0.995, t
    assert len(fast) >= 6
    scores = np.array(
        [data.values(f"frames.{field}.detections.confidence", unwind=True) for field in ("fast", "torch")]
    )
    assert np.abs(scores[0] - scores[1]).max() < 0.02
