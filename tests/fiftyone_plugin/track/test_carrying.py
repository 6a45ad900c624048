"""Changing only what a tracked label says carries on to the frames after it, and tracking again keeps it."""

from __future__ import annotations

import fiftyone as fo
import pytest
from little_videos import drawn, masks_of, plain, video_sample, write_video

from agss_model.errors import AgssError
from fiftyone_plugin.track.tracking import TrackingRun, TrackSettings

FRAMES = 8
SIZE = (128, 96)


@pytest.fixture
def data(scene, tmp_path):
    """Two squares, drawn on the first frame."""
    made = fo.Dataset()
    made.add_sample(video_sample(write_video(tmp_path / "a.mp4", scene, FRAMES), {0: drawn(scene, 0)}))
    yield made
    made.delete()


@pytest.fixture
def track(data, little_network):
    def run():
        job = TrackingRun(data, TrackSettings("gt", "tracks"), little_network)
        list(job)
        data.reload()
        return job.summary

    return run


def change(data, t, index, /, **values):
    """As the App does: only these attributes of one label."""
    sample = data.first()
    (label,) = [one for one in sample.frames[t + 1]["tracks"].detections if one.index == index]
    for name, value in values.items():
        label[name] = value
    sample.save()
    return label.id


def said(data, place):
    """What the labels of the object say that has the left, or the right, of the first frame's labels."""
    sample = data.first()
    instance = sample.frames[1]["tracks"].detections[place].instance.id
    found = []
    for number in range(1, FRAMES + 1):
        labels = [one for one in sample.frames[number]["tracks"].detections if one.instance.id == instance]
        parked = [one["parked"] if one.has_field("parked") else None for one in labels]
        found += [(one.label, one.index, value) for one, value in zip(labels, parked, strict=True)]
    return found


@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"label": "circle"}, ("circle", 2, None)),
        ({"index": 9}, ("square", 9, None)),
        ({"parked": "yes"}, ("square", 2, "yes")),
    ],
)
def test_a_change_goes_to_the_later_frames_and_stays(operator, data, track, values, expected, chosen):
    track()
    before, masks = said(data, 0), [masks_of(data.first(), t, "tracks", SIZE)[1] for t in range(FRAMES)]
    label = change(data, 3, 2, **values)
    result = operator("apply_to_track")(data, "tracks", [label] if chosen else None)
    assert (result["changes"], result["labels"]) == (1, FRAMES - 4)
    data.reload()
    after = [("square", 2, None)] * 3 + [expected] * (FRAMES - 3)
    assert said(data, 1) == after
    assert said(data, 0) == before
    assert all((masks_of(data.first(), t, "tracks", SIZE)[1] == masks[t]).all() for t in range(FRAMES))
    track()
    assert said(data, 1) == after
    kept = plain(data, "tracks")
    assert track().frames == 0  # nothing is left to do
    assert plain(data, "tracks") == kept


def test_it_ends_at_the_next_label_that_a_person_drew_with_others(operator, data, track):
    track()
    change(data, 2, 2, label="circle")
    change(data, 5, 2, keyframe=True)
    result = operator("apply_to_track")(data, "tracks")
    assert "1 change carried on to 2 labels" in result["summary"]
    data.reload()
    assert [label for label, _, _ in said(data, 1)] == ["square"] * 2 + ["circle"] * 3 + ["square"] * 3


def test_two_changes_each_go_up_to_the_next(operator, data, track):
    track()
    change(data, 2, 2, index=5)
    change(data, 5, 2, index=6)
    assert operator("apply_to_track")(data, "tracks")["changes"] == 2
    data.reload()
    assert [index for _, index, _ in said(data, 1)] == [2, 2, 5, 5, 5, 6, 6, 6]


def test_without_a_change_nothing_happens_and_it_is_said(operator, data, track):
    track()
    before = plain(data, "tracks")
    assert "change one" in operator("apply_to_track")(data, "tracks")["summary"]
    assert plain(data, "tracks") == before


def test_a_label_on_no_track_is_refused(operator, data, track):
    loose = data.first().frames[1]["gt"].detections[0].id
    with pytest.raises(AgssError, match="is on no track"):
        operator("apply_to_track")(data, "gt", [loose])


def test_the_form_offers_the_tracked_field_first(operator, data, track):
    track()
    context = fo.operators.ExecutionContext({"dataset_name": data.name, "params": {}})
    form = operator("apply_to_track").resolve_type(context, "inputs").to_json()
    assert form["type"]["properties"]["label_field"]["default"] == "tracks"
