"""One identity for what was drawn and for how it was tracked on."""

from __future__ import annotations

import numpy as np
import pytest
from test_cvat import SQUARE, export, mask_of, mask_track, polygon_track

from agss_model.cvat import Names, Task, from_cvat_api, read_cvat_xml

MOVED = "3.00,2.00;13.00,2.00;13.00,12.00;3.00,12.00"
TRACK = [(1, True, False, SQUARE), (2, True, False, MOVED), (3, True, True, MOVED)]


def dog(track):
    return track.replace('label="cat"', 'label="dog"')


def test_a_drawing_and_the_track_of_its_group_are_one_object(tmp_path):
    drawn = dog(mask_track(0, 0, mask_of(1, 1), group=7))
    video = read_cvat_xml(export(tmp_path / "a.xml", drawn + polygon_track(1, TRACK, group=7)))[0]
    assert [entry.id for entry in video.objects] == [7]
    assert video.frames() == (0, 1, 2, 3)
    assert (video.mask(7, 0) == mask_of(1, 1)).all()
    assert video.problems == ()


@pytest.mark.parametrize(
    "second",
    [
        polygon_track(2, TRACK, group=7),  # two tracks: which one was drawn cannot be told
        polygon_track(2, TRACK, group=7) + polygon_track(3, TRACK, group=7),
    ],
)
def test_tracks_of_one_group_stay_objects_of_their_own(tmp_path, second):
    drawn = dog(mask_track(0, 0, mask_of(1, 1), group=7))
    video = read_cvat_xml(export(tmp_path / "a.xml", drawn + polygon_track(1, TRACK, group=7) + second))[0]
    assert len(video.objects) == 2 + second.count("<track")


@pytest.mark.parametrize("drawing", [mask_track(0, 0, mask_of(1, 1), group=7), dog(mask_track(0, 0, mask_of(1, 1), 6))])
def test_another_label_or_group_is_another_object(tmp_path, drawing):
    video = read_cvat_xml(export(tmp_path / "a.xml", drawing + polygon_track(1, TRACK, group=7)))[0]
    assert len(video.objects) == 2


def test_on_a_frame_with_both_what_a_person_drew_counts(tmp_path):
    machine = polygon_track(1, TRACK, group=7).replace('source="manual"', 'source="auto"')
    drawn = dog(mask_track(0, 2, mask_of(30, 20), group=7))
    video = read_cvat_xml(export(tmp_path / "a.xml", machine + drawn))[0]
    assert (video.mask(7, 2, "all") == mask_of(30, 20)).all()
    assert video.frames() == (2,)


def test_the_server_says_the_same():
    square = [float(value) for point in SQUARE.split(";") for value in point.split(",")]
    common = {"label_id": 1, "group": 7, "source": "manual", "attributes": []}
    keys = [
        {"type": "polygon", "frame": frame, "points": square, "outside": False, "z_order": 0, "attributes": []}
        for frame in (1, 3)
    ]
    shape = {"id": 1, "type": "polygon", "frame": 0, "points": square, "z_order": 0, **common}
    reply = {"shapes": [shape], "tracks": [{"id": 2, "frame": 1, "shapes": keys, **common}]}
    video = from_cvat_api(reply, Task(1, "clip", 48, 32, 4), Names({1: "cat"}))
    assert [entry.id for entry in video.objects] == [7]
    assert [int(np.count_nonzero(video.label_map(frame, "all"))) for frame in range(4)] == [100] * 4
