"""Tracking whole collections: what comes out, what stays as it was, and what is done again."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import fiftyone.constants
import numpy as np
import pytest
from little_videos import detection, drawn, masks_of, overlap, plain, video_sample, write_images, write_video

from agss_model.errors import AgssError
from agss_model.tracking.tracker import Tracker
from agss_model.words import plural
from fiftyone_plugin.data.clips import find_clips
from fiftyone_plugin.data.order import known_order
from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings

STATES = Path(fo.constants.FIFTYONE_CONFIG_DIR) / "agss-vos"
SIZE = (128, 96)


@pytest.fixture
def video(scene, tmp_path):
    return write_video(tmp_path / "squares.mp4", scene)


@pytest.fixture
def data():
    made = fo.Dataset()
    yield made
    made.delete()


@pytest.fixture
def track(little_network):
    """Track and return the run's summary."""

    def run(collection, source="gt", output="tracks", **settings):
        job = TrackingRun(collection, TrackSettings(source, output, **settings), little_network)
        steps = list(job)
        assert steps == sorted(steps, key=lambda step: step.done)
        assert steps[-1].done == 1
        return job.summary

    return run


def test_masks_of_any_frames_become_masks_of_every_frame(data, video, scene, track):
    data.add_sample(video_sample(video, {3: drawn(scene, 3), 7: drawn(scene, 7, (2,))}))
    summary = track(data)
    assert (summary.tracked, summary.frames, summary.objects) == (1, 10, 2)
    sample = data.first()
    assert [number for number, frame in sample.frames.items() if frame["tracks"] is not None] == list(range(1, 11))
    for t in range(10):
        found = masks_of(sample, t, "tracks", SIZE)
        assert all(overlap(found[i], mask) > 0.6 for i, mask in scene.masks(t).items()), t
    labels = [label for frame in sample.frames.values() for label in frame["tracks"].detections]
    assert {(label.label, label.index) for label in labels} == {("square", 1), ("square", 2)}
    for index in (1, 2):
        assert len({label.instance.id for label in labels if label.index == index}) == 1
    assert all(0 < label.confidence <= 1 for label in labels)


def test_drawn_masks_come_out_exactly_as_keyframes(data, video, scene, track):
    data.add_sample(video_sample(video, {3: drawn(scene, 3), 7: drawn(scene, 7, (2,))}))
    track(data)
    sample = data.first()
    for t, ids in ((3, (1, 2)), (7, (2,))):
        found = masks_of(sample, t, "tracks", SIZE)
        for index in ids:
            assert np.array_equal(found[index], scene.masks(t)[index])
    keyframes = {
        (number - 1, label.index)
        for number, frame in sample.frames.items()
        for label in frame["tracks"].detections
        if label.keyframe
    }
    assert keyframes == {(3, 1), (3, 2), (7, 2)}


@pytest.mark.parametrize(("direction", "reached"), [("forward", range(3, 10)), ("backward", range(4))])
def test_one_direction_reaches_its_side(data, video, scene, track, direction, reached):
    data.add_sample(video_sample(video, {3: drawn(scene, 3)}))
    track(data, direction=direction)
    frames = [number - 1 for number, frame in data.first().frames.items() if frame["tracks"] is not None]
    assert frames == list(reached)


def test_the_input_field_is_untouched(data, video, scene, track):
    data.add_sample(video_sample(video, {3: drawn(scene, 3)}))
    before = plain(data, "gt")
    track(data)
    assert plain(data, "gt") == before


def test_in_the_same_field_human_labels_keep_everything_they_had(data, video, scene, track):
    first = detection(scene.masks(3)[1], index=4, confidence=0.3, tags=["mine"], note="by hand")
    second = detection(scene.masks(3)[2])
    data.add_sample(video_sample(video, {3: fo.Detections(detections=[first, second])}))
    before = plain(data, "gt")[str(video), 4]["detections"]
    track(data, "gt", "gt")
    after = plain(data, "gt")[str(video), 4]["detections"]
    for old, new in zip(before, after, strict=True):
        assert {key: new[key] for key in old if old[key] is not None} == {
            key: value for key, value in old.items() if value is not None
        }
        assert new["keyframe"] is True
        assert new["index"] is not None
        assert new["instance"] is not None
    assert len(data.first().frames) == 10


def test_polygons_and_boxes_are_followed_too(data, video, scene, track):
    x, y, w, h = detection(scene.masks(2)[1]).bounding_box
    polygon = fo.Polyline(
        label="a", points=[[(x, y), (x + w, y), (x + w, y + h), (x, y + h)]], closed=True, filled=True
    )
    data.add_sample(video_sample(video, {2: fo.Polylines(polylines=[polygon])}))
    track(data)
    assert overlap(masks_of(data.first(), 2, "tracks", SIZE)[1], scene.masks(2)[1]) > 0.95
    assert overlap(masks_of(data.first(), 6, "tracks", SIZE)[1], scene.masks(6)[1]) > 0.6
    box = fo.Detection(label="b", bounding_box=[x, y, w, h])
    other = video_sample(video, {2: fo.Detections(detections=[box])}, "boxes")
    data.add_sample(other)
    summary = track(data.select(other.id), "boxes", "from_boxes")
    assert "1 label without a mask" in str(summary)
    assert overlap(masks_of(data[other.id], 5, "from_boxes", SIZE)[1], scene.masks(5)[1]) > 0.4


def test_running_again_does_nothing_twice(data, video, scene, track):
    data.add_sample(video_sample(video, {3: drawn(scene, 3)}))
    track(data)
    before = plain(data, "tracks")
    summary = track(data)
    assert (summary.tracked, summary.complete, summary.frames) == (0, 1, 0)
    assert plain(data, "tracks") == before


def test_a_run_that_was_stopped_is_continued_and_comes_out_the_same(data, video, scene, track, little_network):
    data.add_samples([video_sample(video, {3: drawn(scene, 3)}, field) for field in ("gt", "gt")])
    job = TrackingRun(data, TrackSettings("gt", "tracks"), little_network)
    steps = iter(job)
    for _ in range(6):
        next(steps)
    steps.close()
    assert 0 < len(plain(data, "tracks")) < 10
    summary = track(data)
    assert summary.tracked == 2
    assert summary.frames < 20
    stopped = [[f["tracks"].to_dict() for f in sample.frames.values()] for sample in data]
    track(data, output="whole")
    whole = [[f["whole"].to_dict() for f in sample.frames.values()] for sample in data]
    for one, two in zip(stopped, whole, strict=True):
        for here, there in zip(one, two, strict=True):
            assert [(d["index"], d["mask"], d["confidence"]) for d in here["detections"]] == [
                (d["index"], d["mask"], d["confidence"]) for d in there["detections"]
            ]


@pytest.mark.parametrize("keys", [(0,), (0, 9)])
def test_a_long_clip_goes_on_from_the_trackers_state(data, video, scene, little_network, monkeypatch, keys):
    monkeypatch.setattr("fiftyone_plugin.track.resuming.SAVE_EVERY", 0.0)
    data.add_sample(video_sample(video, {t: drawn(scene, t) for t in keys}))
    passes = len(keys)  # between two keyframes there is one from either side
    stepped = []
    original = Tracker.step

    def step(self, frame, index=None):
        stepped.append(index)
        return original(self, frame, index)

    def run(output, steps=None):
        job = iter(TrackingRun(data, TrackSettings("gt", output), little_network))
        for _ in range(steps or 1000):
            if next(job, None) is None:
                break
        job.close()
        done, stepped[:] = list(stepped), []
        return done

    monkeypatch.setattr(Tracker, "step", step)
    run("tracks", 7)
    assert len(list(STATES.glob("*.state"))) == 1
    again = run("tracks")
    assert min(again[-3:]) > 4
    assert sum(index > 0 for index in again) < 9 * passes
    assert not list(STATES.glob("*.state"))
    run("whole")
    for frame in data.first().frames.values():
        found = [[(d.index, d.confidence, d.mask.tolist()) for d in frame[f].detections] for f in ("tracks", "whole")]
        assert found[0] == found[1]


def test_somebody_can_stop_a_run(data, video, scene, little_network, monkeypatch):
    data.add_sample(video_sample(video, {3: drawn(scene, 3)}))
    job = TrackingRun(data, TrackSettings("gt", "tracks"), little_network, stop=lambda: True)
    monkeypatch.setattr(job, "_asked", -10.0)
    list(job)
    assert job.summary.stopped
    assert str(job.summary) == (
        f"Stopped as asked with 1 of 1 clip still to do. What was tracked is kept (2 objects, "
        f"{plural(job.summary.frames, 'frame')}); run it again to continue."
    )
    assert 0 < len(plain(data, "tracks")) < 10


@pytest.mark.parametrize("source", ["gt", "tracks"])
def test_an_edited_prediction_is_a_keyframe_and_renews_only_what_depends_on_it(data, video, scene, track, source):
    data.add_sample(video_sample(video, {0: drawn(scene, 0), 4: drawn(scene, 4), 9: drawn(scene, 9)}))
    track(data)
    before = plain(data, "tracks")
    sample = data.first()
    edited = sample.frames[8]["tracks"].detections[0]
    edited.mask = edited.mask.copy()
    edited.mask[:6] = False
    kept = edited.mask
    sample.save()
    summary = track(data, source)
    after = plain(data, "tracks")
    label = data.first().frames[8]["tracks"].detections[0]
    assert np.array_equal(label.mask, kept)
    assert (label.id, label.index, label.keyframe, label.confidence) == (edited.id, edited.index, True, 1.0)
    assert summary.frames == 5  # frames 4 to 8: from one complete keyframe to the next
    for t in range(10):
        unchanged = before[str(video), t + 1] == after[str(video), t + 1]
        assert unchanged == (t not in range(4, 9)), t


def test_tracks_can_be_tracked_from(data, video, scene, track):
    """What was drawn in the field that they were tracked from stands in them as well."""
    data.add_sample(video_sample(video, {0: drawn(scene, 0), 4: drawn(scene, 4)}))
    track(data)
    assert (track(data, "tracks", "others").frames, track(data, "tracks", "tracks").complete) == (10, 1)
    sample = data.first()
    for t in (0, 4, 9):
        first, second = (masks_of(sample, t, field, SIZE) for field in ("tracks", "others"))
        assert all(np.array_equal(first[index], second[index]) for index in first), t


def test_what_is_drawn_while_a_run_goes_on_stays(data, video, scene, little_network):
    data.add_sample(video_sample(video, {0: drawn(scene, 0)}))
    steps = iter(TrackingRun(data, TrackSettings("gt", "tracks"), little_network))
    for _ in range(4):
        next(steps)
    mask = np.zeros((96, 128), bool)
    mask[:9, 100:120] = True
    data.set_values(
        "frames.tracks",
        {data.first().id: {9: fo.Detections(detections=[detection(mask, label="new")])}},
        key_field="id",
    )
    list(steps)
    data.reload()
    labels = data.first().frames[9]["tracks"].detections
    assert [label.label for label in labels if label.label == "new"] == ["new"]
    assert {label.index for label in labels} == {None, 1, 2}


def test_one_broken_video_does_not_stop_the_others(data, video, scene, track, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    paths = [broken, tmp_path / "gone.mp4", video]
    data.add_samples([video_sample(path, {3: drawn(scene, 3)}) for path in paths])
    data.add_sample(fo.Sample(filepath=video))
    summary = track(data)
    assert summary.tracked == 1
    assert summary.bare == ["squares.mp4"]
    text = str(summary)
    assert "broken.mp4" in text
    assert "gone.mp4 does not exist on this machine" in text


def test_a_view_decides_which_videos_and_labels_count(data, video, scene, track):
    labels = fo.Detections(detections=[*drawn(scene, 3, (1,)).detections, *drawn(scene, 3, (2,), label="b").detections])
    data.add_samples([video_sample(video, {3: labels}) for _ in range(2)])
    view = data.select(data.first().id).filter_labels("frames.gt", fo.ViewField("label") == "b")
    summary = track(view)
    assert (summary.tracked, summary.objects) == (1, 1)
    assert data.count_values("frames.tracks.detections.label") == {"b": 10}


def test_clips_are_tracked_within_their_frames(data, video, scene, track):
    data.add_sample(video_sample(video, {1: drawn(scene, 1)}))
    track(data.to_clips([[(4, 6)]]))
    frames = [number for number, frame in data.first().frames.items() if frame["tracks"] is not None]
    assert frames == [4, 5, 6]


def image_samples(scene, tmp_path, labelled=(2,), folder="images"):
    paths = write_images(tmp_path / folder, scene)
    samples = [fo.Sample(filepath=path, order=t, scene=folder) for t, path in enumerate(paths)]
    for t in labelled:
        samples[t]["gt"] = drawn(scene, t)
    return samples


def check_images(data, scene):
    for sample in data:
        t = sample["order"]
        found = masks_of(sample, t, "tracks", SIZE)
        assert all(overlap(found[i], mask) > 0.6 for i, mask in scene.masks(t).items()), t


def test_images_are_ordered_by_a_field(data, scene, track, tmp_path):
    for name in ("a", "b"):
        data.add_samples(image_samples(scene, tmp_path, folder=name)[::-1])
    summary = track(data, sort_field="order", group_field="scene")
    assert (summary.tracked, summary.frames) == (2, 16)
    check_images(data, scene)


def test_images_without_a_field_follow_their_names(data, scene, track, tmp_path):
    data.add_samples(image_samples(scene, tmp_path)[::-1])
    track(data)
    check_images(data, scene)


def test_dynamic_groups_are_sequences(data, scene, track, tmp_path):
    data.add_samples([*image_samples(scene, tmp_path, folder="x"), *image_samples(scene, tmp_path, folder="y")])
    summary = track(data.group_by("scene", order_by="order"))
    assert summary.tracked == 2
    check_images(data, scene)
    instances = {i for per_sample in data.values("tracks.detections.instance.id") for i in per_sample}
    assert len(instances) == 4


def test_the_order_of_a_view_in_groups_is_remembered(data, scene, track, tmp_path):
    samples = [*image_samples(scene, tmp_path, folder="x"), *image_samples(scene, tmp_path, folder="y")]
    for sample in samples:
        sample["later"] = 7 - sample["order"]  # against the names of the files
    data.add_samples(samples)
    track(data.group_by("scene", order_by="later"))
    assert known_order(data, "tracks") == ("later", "scene")
    assert track(data).complete == 2
    (shown, _) = find_clips(data, *known_order(data, "tracks"))
    assert [data[sample]["later"] for sample in shown.samples] == list(range(8))


def test_groups_are_tracked_in_their_active_slice(data, video, scene, track):
    data.add_group_field("group", default="left")
    group = fo.Group()
    left, right = (video_sample(video, {3: drawn(scene, 3)}) for _ in range(2))
    left["group"], right["group"] = group.element("left"), group.element("right")
    data.add_samples([left, right])
    summary = track(data)
    assert summary.tracked == 1
    data.group_slice = "left"
    assert data.first().frames[1]["tracks"] is not None
    data.group_slice = "right"
    assert 1 not in data.first().frames or data.first().frames[1]["tracks"] is None


def test_labels_outside_the_picture_are_named_as_the_reason(data, video, scene, track):
    outside = fo.Detection(label="x", bounding_box=[1.2, 0.1, 0.2, 0.2])
    data.add_samples([
        video_sample(video, {3: fo.Detections(detections=[outside])}),
        video_sample(video, {3: drawn(scene, 3)}),
    ])  # fmt: skip
    summary = track(data)
    assert summary.tracked == 1
    assert "1 label outside the picture" in str(summary)


def test_samples_deleted_during_a_run_are_named_as_the_reason(data, video, scene, little_network, tmp_path):
    data.add_samples([video_sample(video, {3: drawn(scene, 3)}) for _ in range(2)])
    run = iter(job := TrackingRun(data, TrackSettings("gt", "tracks"), little_network))
    next(run)
    data.delete_samples(data.last().id)
    list(run)
    assert job.summary.tracked == 1
    assert "deleted from the dataset while this run went on" in str(job.summary)
    images = fo.Dataset()
    images.add_samples(image_samples(scene, tmp_path))
    run = iter(TrackingRun(images, TrackSettings("gt", "tracks"), little_network))
    next(run)
    next(run)  # frames of it are waiting to be written
    images.delete_samples(images.last().id)
    with pytest.raises(AgssError, match="was deleted while it was being tracked"):
        list(run)
    images.delete()


def test_a_clip_is_learned_from_once_before_it_is_tracked(data, video, scene, little_network, monkeypatch):
    learned = []

    def learn(weights, source, label_maps, folder, report, minutes):
        with report.progress("learning", 2) as progress:
            progress.advance()
        report.note("learned.")
        learned.append((weights, sorted(label_maps), minutes))
        return "learned.safetensors"

    monkeypatch.setattr("fiftyone_plugin.track.learning.adapted_weights", learn)
    monkeypatch.setattr("fiftyone_plugin.track.learning.load_network", lambda name, device: little_network)
    data.add_sample(video_sample(video, {3: drawn(scene, 3)}))
    for _ in range(2):  # what is complete is not learned from again
        list(run := TrackingRun(data, TrackSettings("gt", "tracks", adapt=1.5), little_network))
    assert learned == [("lite", [3], 1.5)]
    assert run.summary.complete == 1
    list(plain_run := TrackingRun(data, TrackSettings("gt", "tracks"), little_network))  # without, masks are others
    assert plain_run.summary.frames == 10
    monkeypatch.setattr("fiftyone_plugin.track.learning.adapted_weights", refuse)
    with pytest.raises(AgssError, match="nothing could be tracked"):
        list(TrackingRun(data, TrackSettings("gt", "more", adapt=1.0), little_network))


def refuse(*arguments):
    raise AgssError("only lite learns from a clip")
