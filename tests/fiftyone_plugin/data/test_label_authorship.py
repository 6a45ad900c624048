"""Whose a label is, with what FiftyOne's App writes around it in Annotate mode."""

from __future__ import annotations

from itertools import pairwise

import fiftyone as fo
import numpy as np
import pytest
from little_videos import detection, masks_of, overlap, video_sample, write_video

from agss_model.evaluation import open_dataset
from fiftyone_plugin.data.authorship import Authors
from fiftyone_plugin.data.clips import find_clips
from fiftyone_plugin.data.fields import Field
from fiftyone_plugin.review.scores import read_timeline
from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings
from training.annotations.catalog import open_catalog

FRAMES = 8
SIZE = (128, 96)
FIELD = Field("gt", True)


def like_the_app(keyframes, last, instance):
    """Labels by frame from 0 as Annotate mode leaves them: copies after a keyframe, boxes in between.

    Args:
        keyframes: frame -> label that a person drew, in the order of frames.
        last: the last frame that it fills.
        instance: of the track.
    """
    made = {}
    for number, label in keyframes.items():
        label["instance"], label["keyframe"] = instance, True
        made |= {t: copied(label, instance) for t in range(number + 1, last + 1)}
        made[number] = label
    for low, high in pairwise(sorted(keyframes)):
        one, two = (np.array(keyframes[t].bounding_box) for t in (low, high))
        for t in range(low + 1, high):
            made[t] = copied(keyframes[low], instance)
            made[t].bounding_box = (one + (two - one) * (t - low) / (high - low)).tolist()
    return made


def copied(label, instance):
    copy = fo.Detection(label=label.label, bounding_box=list(label.bounding_box), mask=label.mask)
    copy["instance"], copy["keyframe"] = fo.Instance(id=instance.id), False
    return copy


@pytest.fixture
def annotated(scene, tmp_path):
    """A video in which a person drew object 1 on its first and fifth frame in the App, without index."""
    made = fo.Dataset("annotated")
    drawn = {t: detection(scene.masks(t)[1]) for t in (0, 4)}
    labels = like_the_app(drawn, FRAMES - 1, fo.Instance())
    sample = video_sample(
        write_video(tmp_path / "a.mp4", scene, FRAMES), {t: fo.Detections(detections=[x]) for t, x in labels.items()}
    )
    made.add_sample(sample)
    made.add_dynamic_frame_fields()
    yield made
    made.delete()


def whose(dataset, field=FIELD):
    """Frames in which a person drew, as tracking sees it."""
    authors = Authors.read(dataset, find_clips(dataset)[0], field)
    frames = dataset.first().frames
    return [n - 1 for n, f in frames.items() for label in f[field.name].detections if authors.drew(n - 1, label)]


def test_only_keyframes_are_a_persons_where_the_app_filled_the_rest(annotated):
    assert whose(annotated) == [0, 4]


def test_what_lies_elsewhere_or_lacks_the_attribute_is_a_persons(annotated):
    sample = annotated.first()
    x, *rest = sample.frames[3]["gt"].detections[0].bounding_box
    sample.frames[3]["gt"].detections[0].bounding_box = [x + 0.01, *rest]
    sample.frames[8]["gt"].detections[0]["keyframe"] = None
    sample.save()
    assert whose(annotated) == [0, 2, 4, 7]


def test_without_any_keyframe_every_label_is_a_persons(annotated):
    sample = annotated.first()
    for frame in sample.frames.values():
        frame["gt"].detections[0]["keyframe"] = False
    sample.save()
    assert len(whose(annotated)) == FRAMES


def test_copied_polygons_are_the_apps_too(annotated, scene):
    ring = [(0.1, 0.1), (0.3, 0.1), (0.3, 0.3)]
    sample, instance = annotated.first(), fo.Instance()
    for number in range(1, 4):
        line = fo.Polyline(label="x", points=[ring], closed=True, filled=True, keyframe=number == 1, instance=instance)
        sample.frames[number]["lines"] = fo.Polylines(polylines=[line])
    sample.save()
    authors = Authors.read(annotated, find_clips(annotated)[0], Field("lines", True))
    lines = [sample.frames[number]["lines"].polylines[0] for number in (1, 2, 3)]
    assert [authors.drew(t, line) for t, line in enumerate(lines)] == [True, False, False]


@pytest.mark.parametrize("output", ["tracks", "gt"])
def test_copies_are_replaced_by_tracking(annotated, scene, little_network, output):
    job = TrackingRun(annotated, TrackSettings("gt", output), little_network)
    list(job)
    assert (job.summary.objects, job.summary.frames) == (1, FRAMES)
    annotated.reload()
    sample = annotated.first()
    for t in range(FRAMES):
        (label,) = sample.frames[t + 1][output].detections
        assert label.keyframe == (t in (0, 4)), t
        assert t in (0, 4) or label.confidence < 1
        assert overlap(masks_of(sample, t, output, SIZE)[1], scene.masks(t)[1]) > 0.6
    list(again := TrackingRun(annotated, TrackSettings("gt", output), little_network))
    assert again.summary.complete == 1


def test_copies_that_the_app_puts_beside_tracked_masks_are_replaced(annotated, little_network):
    """An Annotate mode that stayed open during a run writes the copies that it still knows once more."""
    list(TrackingRun(annotated, TrackSettings("gt", "tracks"), little_network))
    sample = annotated.first()
    before = {number: [x.id for x in frame["tracks"].detections] for number, frame in sample.frames.items()}
    first = sample.frames[1]["tracks"].detections[0]
    for number in (2, 3):
        sample.frames[number]["tracks"].detections.append(copied(first, fo.Instance(id=first.instance_id)))
    sample.save()
    list(run := TrackingRun(annotated, TrackSettings("gt", "tracks"), little_network))
    annotated.reload()
    frames = annotated.first().frames
    after = {number: [x.id for x in frame["tracks"].detections] for number, frame in frames.items()}
    assert [len(labels) for labels in after.values()] == [1] * FRAMES
    assert run.summary.frames == 2
    assert [number for number in after if after[number] != before[number]] == [2, 3]


def test_moving_a_tracked_mask_in_the_app_leaves_no_frozen_ones(annotated, scene, little_network):
    """The App writes the box of the keyframe onto all tracked labels after it, and boxes in between before it."""
    list(TrackingRun(annotated, TrackSettings("gt", "tracks"), little_network))
    sample = annotated.first()
    label = sample.frames[7]["tracks"].detections[0]
    before = np.array(sample.frames[5]["tracks"].detections[0].bounding_box)
    after = np.array(label.bounding_box) + np.array([0.02, 0, 0, 0])
    label.bounding_box, label["keyframe"] = after.tolist(), True
    sample.frames[6]["tracks"].detections[0].bounding_box = ((before + after) / 2).tolist()
    sample.frames[8]["tracks"].detections[0].bounding_box = after.tolist()
    sample.save()
    assert whose(annotated, Field("tracks", True)) == [6]
    list(TrackingRun(annotated, TrackSettings("gt", "tracks"), little_network))
    annotated.reload()
    found = [annotated.first().frames[n]["tracks"].detections[0] for n in (6, 7, 8)]
    assert [(x.keyframe, x.confidence == 1) for x in found] == [(False, False), (True, True), (False, False)]
    assert found[1].bounding_box == after.tolist()
    assert found[2].bounding_box != after.tolist()


@pytest.mark.parametrize("moved", [(0, 1), (0,), (3,)])
def test_numbers_of_a_box_that_the_app_writes_one_by_one_are_nobodys(annotated, little_network, moved):
    """An Annotate mode that stayed open during a run writes only what it believes to change: x and y, or less."""
    list(TrackingRun(annotated, TrackSettings("gt", "tracks"), little_network))
    sample = annotated.first()
    sample.frames[1]["tracks"].detections[0].bounding_box = [0.31, 0.32, 0.33, 0.34]
    for number in (2, 3, 4):
        box = sample.frames[number]["tracks"].detections[0].bounding_box
        for place in moved:
            box[place] = (0.31, 0.32, 0.33, 0.34)[place]
    sample.frames[5]["tracks"].detections[0].bounding_box[0] += 0.01  # of a keyframe
    sample.frames[7]["tracks"].detections[0].bounding_box[0] += 0.01  # by somebody else
    sample.save()
    assert whose(annotated, Field("tracks", True)) == [0, 4, 6]


def test_a_mask_that_was_edited_in_its_place_is_a_persons(annotated, little_network):
    """Also of an object that stands still, whose box is that of the keyframe."""
    list(TrackingRun(annotated, TrackSettings("gt", "tracks"), little_network))
    sample = annotated.first()
    label = sample.frames[3]["tracks"].detections[0]
    label.bounding_box = sample.frames[1]["tracks"].detections[0].bounding_box
    sample.save()
    assert whose(annotated, Field("tracks", True)) == []
    sample = annotated.first()
    label = sample.frames[3]["tracks"].detections[0]
    label.mask = np.where(np.arange(len(label.mask))[:, None] > 3, label.mask, False)
    sample.save()
    assert whose(annotated, Field("tracks", True)) == [2]


def test_a_tracked_mask_that_is_made_a_keyframe_is_confirmed(annotated, little_network):
    list(TrackingRun(annotated, TrackSettings("gt", "tracks"), little_network))
    sample = annotated.first()
    sample.frames[7]["tracks"].detections[0]["keyframe"] = True
    sample.save()
    assert whose(annotated, Field("tracks", True)) == [6]


def test_copies_are_no_training_data(operator, annotated, tmp_path):
    for number, result in ((1, annotated.first().frames[1]), (5, annotated.first().frames[5])):
        result["gt"].detections[0].index = 1
        annotated.set_values("frames.gt", {annotated.first().id: {number: result["gt"]}}, key_field="id")
    (video,) = open_catalog(["fiftyone:annotated/frames.gt"]).videos
    assert video.truth.frames("human") == (0, 4)
    result = operator("export_training")(annotated, "gt", str(tmp_path / "out"))
    assert result["frames"] == 2
    assert sorted(open_dataset(tmp_path / "out", "davis")[0].annotations) == [0, 4]


def test_copies_are_no_truth_in_an_evaluation(operator, annotated, scene):
    tracks = {
        t + 1: fo.Detections(detections=[detection(scene.masks(t)[1], confidence=0.9, keyframe=False)])
        for t in range(FRAMES)
    }
    annotated.set_values("frames.tracks", {annotated.first().id: tracks}, key_field="id", dynamic=True)
    (clip,) = operator("evaluate_tracking")(annotated, "tracks", "gt", protocol="all")["clips"]
    assert [(score["J"], score["frames"]) for score in clip["objects"].values()] == [(1, 2)]


def test_copies_are_neither_scored_nor_queued(operator, annotated):
    """A copy has no score, so it must not shine as a certain one."""
    sample = annotated.first()
    for frame in sample.frames.values():
        frame["gt"].detections[0].index = 1
    sample.save()
    timeline = read_timeline(annotated, find_clips(annotated)[0], FIELD)
    assert np.argwhere(np.isfinite(timeline.scores[0])).ravel().tolist() == [0, 4]
    assert operator("review_queue")(annotated, "gt")["entries"] == 0
