"""An object that a person ended stays away until somebody draws it again."""

from __future__ import annotations

import fiftyone as fo
import pytest
from little_videos import drawn, masks_of, plain, video_sample, write_video

from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings

FRAMES = 10
SIZE = (128, 96)


@pytest.fixture
def data(scene, tmp_path):
    """Two squares, drawn on the first frame; square 2 again on the eighth."""
    made = fo.Dataset()
    path = write_video(tmp_path / "a.mp4", scene, FRAMES)
    made.add_sample(video_sample(path, {0: drawn(scene, 0), 7: drawn(scene, 7, (2,))}))
    yield made
    made.delete()


@pytest.fixture
def track(data, little_network):
    def run(direction="both"):
        job = TrackingRun(data, TrackSettings("gt", "tracks", direction=direction), little_network)
        list(job)
        data.reload()
        return job.summary

    return run


def delete(dataset, t, index):
    """As the App does."""
    sample = dataset.first()
    value = sample.frames[t + 1]["tracks"]
    value.detections = [label for label in value.detections if label.index != index]
    sample.save()


def frames_of(dataset, index):
    return [t for t in range(FRAMES) if index in masks_of(dataset.first(), t, "tracks", SIZE)]


@pytest.mark.parametrize(("direction", "index", "left"), [
    ("both", 2, [0, 1, 2, 3, 7, 8, 9]),  # it is drawn again on frame 7
    ("both", 1, [0, 1, 2, 3]),
    ("forward", 2, [0, 1, 2, 3, 7, 8, 9]),
])  # fmt: skip
def test_it_ends_where_its_mask_was_deleted(data, track, direction, index, left):
    track(direction)
    assert frames_of(data, index) == list(range(FRAMES))
    delete(data, 4, index)
    track(direction)
    assert frames_of(data, index) == left
    assert frames_of(data, 3 - index) == list(range(FRAMES))
    before = plain(data, "tracks")
    assert track(direction).complete == 1
    assert plain(data, "tracks") == before


def test_it_is_back_where_it_is_drawn_again(data, track, scene):
    track()
    delete(data, 2, 1)
    track()
    sample = data.first()
    sample.frames[7]["gt"] = drawn(scene, 6)
    sample.save()
    track()
    assert frames_of(data, 1) == [0, 1, 6, 7, 8, 9]


def test_a_track_that_was_deleted_as_a_whole_stays_away_but_where_it_was_drawn(data, track):
    """As the App's *Delete label* does."""
    track()
    for t in range(FRAMES):
        delete(data, t, 1)
    track()
    assert frames_of(data, 1) == [0]
    assert track().complete == 1


def test_nothing_ends_where_nothing_was_deleted(data, track):
    """Lost objects have no mask either."""
    track()
    value = data.first().frames[5]["tracks"]
    assert len(value["shown"]) == 2
    assert value["ended"] == []
