"""One name for an object everywhere: person 1, car 1 and dog 1 are three."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
import pytest
from little_videos import detection, masks_of, video_sample, write_video

from fiftyone_plugin.data.clips import find_clips
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.data.identity import ABSENT, ObjectName, ObjectNames, lost_in, numbered
from fiftyone_plugin.review.scores import read_timeline
from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings
from training.annotations.catalog import open_catalog

FRAMES = 4
KINDS = {1: "person", 2: "car", 3: "dog"}
ALL = ("person 1", "car 1", "dog 1")


@pytest.fixture
def zoo(make_scene, tmp_path):
    """Three objects of three classes, each with the index 1, drawn on every frame."""
    scene = make_scene(objects=3)
    made = fo.Dataset("zoo")
    path = write_video(tmp_path / "a.mp4", scene, FRAMES)
    made.add_sample(
        video_sample(
            path,
            {
                t: fo.Detections(detections=[detection(m, label=KINDS[i], index=1) for i, m in scene.masks(t).items()])
                for t in range(FRAMES)
            },
        )
    )
    yield made, scene
    made.delete()


def test_a_name_follows_an_instance_whatever_its_labels_are_changed_to():
    names = ObjectNames([("a", "person", 3), ("a", "car", 3), (None, "car", 3)])
    assert names.name("a", "bus", None) == ObjectName("person", 3)
    assert names.name(None, "car", 3) == ObjectName("car", 3)
    assert names.name("b", "car", None) == ObjectName("car", None, "b")
    assert str(names.name(None, None, None)) == "object"


def test_ids_are_the_indexes_where_they_can_be():
    assert numbered([ObjectName("car", 7), ObjectName("dog", 2), ObjectName("car", 7)]) == {
        ObjectName("car", 7): 7,
        ObjectName("dog", 2): 2,
    }
    assert list(numbered([ObjectName("car", 1), ObjectName("dog", 1)]).values()) == [1, 2]
    assert list(numbered([ObjectName("car", 300)], most=254).values()) == [1]


def test_lost_objects_are_named_also_in_what_earlier_versions_wrote():
    assert len(ABSENT) == 4
    assert list(lost_in([["dog 1"], [], ["dog 1"], []], [])) == [("dog 1", True)]
    assert list(lost_in([[], [1, 2], [], [2]], [ObjectName("car", 1)])) == [("car 1", False), ("object 2", True)]


def test_tracked_scored_evaluated_and_reviewed_under_one_name(operator, zoo, little_network):
    dataset, _ = zoo
    dataset.clone_frame_field("gt", "truth")
    sample = dataset.first()
    for number in (2, 3, 4):
        sample.frames[number]["gt"] = None
    sample.save()
    list(TrackingRun(dataset, TrackSettings("gt", "tracks"), little_network))
    sample = dataset.first()
    value = sample.frames[3]["tracks"]
    value.detections = [label for label in value.detections if label.label != "car"]
    value["lost_objects"] = ["car 1"]
    sample.save()
    timeline = read_timeline(dataset, find_clips(dataset)[0], Field("tracks", True))
    assert sorted(timeline.names) == sorted(ALL)
    assert [timeline.names[row] for row in np.flatnonzero(timeline.scores[:, 2] == 0)] == ["car 1"]
    queue = operator("review_queue")(dataset, "tracks")
    assert "lost: car 1" in queue["worst"][0]["reason"]
    (clip,) = operator("evaluate_tracking")(dataset, "tracks", "truth")["clips"]
    assert sorted(clip["objects"]) == sorted(ALL)


@pytest.mark.parametrize("layout", ["davis", "youtube-vos", "cvat"])
def test_names_survive_the_way_out_and_back(operator, zoo, tmp_path, layout):
    dataset, scene = zoo
    operator("export_training")(dataset, "gt", str(tmp_path / "out"), layout=layout)
    operator("import_annotations")(dataset, str(tmp_path / "out"), "back", format=layout)
    labels = dataset.first().frames[1]["back"].detections
    assert sorted(f"{label.label} {label.index}" for label in labels) == sorted(ALL)
    assert len({label.instance_id for label in labels}) == 3
    found = {label.label: mask for label, mask in zip(labels, _masks(labels), strict=True)}
    assert all(np.array_equal(found[KINDS[i]], mask) for i, mask in scene.masks(0).items())


def _masks(labels):
    from fiftyone_plugin.data.labels import decode_label

    return [decode_label(label, 128, 96) for label in labels]


def test_training_tells_them_apart(zoo):
    (video,) = open_catalog(["fiftyone:zoo/frames.gt"]).videos
    assert sorted(video.labels.values()) == sorted(KINDS.values())
    assert set(np.unique(video.truth.label_map(0))) == {0, *video.labels}
    assert masks_of(zoo[0].first(), 0, "gt", (128, 96)).keys() == {1}
