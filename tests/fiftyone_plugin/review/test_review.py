"""The queue of frames to look at."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from little_videos import detection, write_video

from agss_model.errors import AgssError
from agss_model.tracking.quality import DISAGREE, JUMP, LOST
from fiftyone_plugin.review.queue import Doubt, entries


@pytest.fixture
def data(scene, tmp_path):
    made = fo.Dataset()
    yield made
    if fo.dataset_exists(made.name):
        made.delete()


def tracked(score, index=1, reasons=(), keyframe=False):
    mask = np.zeros((96, 128), bool)
    mask[2:9, 3:9] = True
    return detection(mask, label="car", index=index, confidence=score, reasons=list(reasons), keyframe=keyframe)


def frame(*labels, lost=(), jumped=()):
    value = fo.Detections(detections=list(labels))
    value["lost_objects"], value["jumped_objects"] = list(lost), list(jumped)
    return value


def video(path, *frames):
    sample = fo.Sample(filepath=str(path))
    for number, value in enumerate(frames, 1):
        sample.frames[number] = fo.Frame(tracks=value)
    return sample


def test_worst_first_with_the_reason_in_a_saved_view(operator, data, scene, tmp_path):
    path = write_video(tmp_path / "a.mp4", scene, 6)
    good, weak, bad = tracked(0.9), tracked(0.4), tracked(0.2, reasons=("uncertain",))
    torn = tracked(0.8, reasons=(DISAGREE,))
    data.add_sample(video(path, frame(good), frame(weak), frame(bad), frame(good), frame(torn), frame(good)))
    gone = frame(tracked(0.9, 2), lost=("car 1",), jumped=("car 1",))
    data.add_sample(video(path, frame(tracked(0.1, keyframe=True), tracked(0.9, 2)), gone, *[frame(good)] * 4))
    result = operator("review_queue")(data, "tracks")
    assert result["entries"] == 3
    assert "3 places to look at in 2 of 2 clips" in result["summary"]
    view = data.load_saved_view(result["view"])
    queue = [(clip.support, clip.tracks_review.confidence, clip.tracks_review.label) for clip in view]
    assert queue == [
        ([2, 2], 0.0, f"{LOST} and {JUMP}: car 1"),
        ([2, 3], 0.2, "uncertain: car 1; low score: car 1"),
        ([5, 5], 0.8, f"{DISAGREE}: car 1"),
    ]
    assert [clip.tracks_review.worst_frame for clip in view] == [2, 3, 5]


def test_a_second_queue_takes_the_place_of_the_first(operator, data, scene, tmp_path):
    path = write_video(tmp_path / "a.mp4", scene, 2)
    data.add_sample(video(path, frame(tracked(0.2)), frame(tracked(0.9))))
    operator("review_queue")(data, "tracks")
    data.set_values("frames.tracks", {data.first().id: {1: frame(tracked(0.9))}}, key_field="id")
    result = operator("review_queue")(data, "tracks")
    assert result["entries"] == 0
    assert "Nothing to look at" in result["summary"]
    assert data.first()["tracks_review"] is None
    assert operator("review_queue")(data, "tracks", threshold=0.95)["entries"] == 1


def test_images_are_queued_one_by_one(operator, data, tmp_path):
    for t, score in enumerate((0.9, 0.3, 0.1)):
        data.add_sample(fo.Sample(filepath=str(tmp_path / f"{t}.png"), tracks=frame(tracked(score))))
    result = operator("review_queue")(data, "tracks")
    view = data.load_saved_view(result["view"])
    assert [sample["tracks_review"].confidence for sample in view] == [0.1, 0.3]


def test_masks_of_other_tools_can_be_queued_too(operator, data, scene, tmp_path):
    path = write_video(tmp_path / "a.mp4", scene, 2)
    plain = [
        fo.Detections(detections=[fo.Detection(label="x", bounding_box=[0, 0, 1, 1], confidence=c)]) for c in (0.9, 0.1)
    ]
    data.add_sample(video(path, *plain))
    assert operator("review_queue")(data, "tracks")["worst"][0]["reason"] == "low score: x"


def test_only_what_the_view_holds_and_at_most_the_limit(operator, data, scene, tmp_path):
    path = write_video(tmp_path / "a.mp4", scene, 5)
    values = [frame(tracked(s)) for s in (0.1, 0.9, 0.2, 0.9, 0.3)]
    data.add_samples([video(path, *values), video(path, *values)])
    view = data.select(data.first().id)
    result = operator("review_queue")(view, "tracks", limit=2, view_name="mine")
    queue = [clip.tracks_review.confidence for clip in data.load_saved_view("mine")]
    assert queue == [0.1, 0.2]
    assert result["entries"] == 2
    assert data.last()["tracks_review"] is None


def test_bad_settings(operator, data, scene, tmp_path):
    data.add_sample(video(write_video(tmp_path / "a.mp4", scene, 1), frame()))
    with pytest.raises(AgssError, match="run track_objects first"):
        operator("review_queue")(data, "tracks")
    with pytest.raises(AgssError, match="threshold 2"):
        operator("review_queue")(data, "tracks", threshold=2)
    data.add_sample_field("tracks_review", fo.StringField)
    with pytest.raises(AgssError, match="'tracks_review' holds something else"):
        operator("review_queue")(data, "tracks")


def test_frames_that_follow_each_other_are_one_entry():
    found = [
        Doubt(3, "car 1", 0.4, ("low score",)),
        Doubt(4, "dog 2", 0.0, (LOST,)),
        Doubt(6, "car 1", 0.3, ("low score",)),
    ]
    one, two = entries(found, joined=True)
    assert (one.first, one.last, one.worst, one.score) == (3, 4, 4, 0.0)
    assert one.reason == "lost: dog 2; low score: car 1"
    assert (two.first, two.last) == (6, 6)
    assert len(entries(found, joined=False)) == 3


def test_parts_of_a_video_are_queued_apart(operator, data, scene, tmp_path):
    path = write_video(tmp_path / "a.mp4", scene, 6)
    data.add_sample(video(path, *(frame(tracked(s)) for s in (0.1, 0.9, 0.2, 0.2, 0.9, 0.3))))
    parts = data.to_clips([[(1, 2), (4, 6)]])
    result = operator("review_queue")(parts, "tracks")
    assert result["entries"] == 3
    assert [clip.support for clip in data.load_saved_view(result["view"])] == [[1, 1], [4, 4], [6, 6]]


def test_a_queue_made_inside_a_queue_counts_each_place_once(operator, data, scene, tmp_path):
    path = write_video(tmp_path / "a.mp4", scene, 6)
    data.add_sample(video(path, *(frame(tracked(s)) for s in (0.1, 0.9, 0.2, 0.2, 0.9, 0.3))))
    first = operator("review_queue")(data, "tracks")
    again = operator("review_queue")(data.load_saved_view(first["view"]), "tracks")
    assert (first["entries"], again["entries"]) == (3, 3)
    assert "in 1 of 1 clip" in again["summary"]
