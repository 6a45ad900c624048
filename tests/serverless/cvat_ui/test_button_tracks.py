"""Polygon tracks by the button: keyframes, `outside` where an object ends, labels that take no polygon."""

from __future__ import annotations

import numpy as np
import pytest
from button_page import mask_shape, polygon_shape, rectangle
from test_button_masks import shifted

from agss_model.cvat.authorship import Names, author, keyframe_authors, sign_track

BOX = rectangle(4, 6, 13, 15)
NAMES = Names({1: "car", 2: "dog", 3: "road"}, {7: "colour", 8: "state"})
SQUARE = [4, 6, 14, 6, 14, 16, 4, 16]
OTHER = rectangle(2, 30, 9, 39)


def keys(track: dict) -> list[tuple[int, bool]]:
    return [(shape["frame"], shape["outside"]) for shape in track["shapes"]]


def box_of(shape: dict) -> tuple[float, float, float, float]:
    points = np.reshape(shape["points"], (-1, 2))
    return (*points.min(axis=0), *points.max(axis=0))


def test_a_polygon_becomes_a_track_with_few_keyframes(annotation):
    attributes = [{"spec_id": 7, "value": "red"}, {"spec_id": 8, "value": "parked"}]
    annotation.open([polygon_shape(SQUARE, group=2, attributes=attributes, z_order=1, id=9)])
    annotation.track(12)
    annotation.finished()

    assert annotation.shapes == []
    [track] = annotation.tracks
    assert keys(track) == [(5, False), (6, False), (12, False), (13, True)]
    assert track["shapes"][0]["points"] == SQUARE
    assert box_of(track["shapes"][2]) == pytest.approx((18, 6, 28, 16), abs=0.11)
    assert (track["label_id"], track["group"], track["source"], track["frame"]) == (1, 2, "auto", 5)
    assert track["attributes"] == [attributes[0]]
    assert [shape["attributes"] for shape in track["shapes"]] == [[attributes[1]]] * 4
    assert {shape["z_order"] for shape in track["shapes"]} == {1}
    assert annotation.undo_steps == 1


def test_no_keyframe_lies_outside_the_job(annotation):
    annotation.open([polygon_shape(SQUARE)], frames=range(4, 9))
    annotation.track(8)
    annotation.finished()
    assert keys(annotation.tracks[0]) == [(5, False), (6, False), (8, False)]


def test_backward_tracks_start_at_the_target_and_end_after_the_drawn_polygon(annotation):
    annotation.open([polygon_shape(SQUARE)])
    annotation.track(1)
    annotation.finished()
    [track] = annotation.tracks
    assert keys(track) == [(1, False), (4, False), (5, False), (6, True)]
    assert track["shapes"][2]["points"] == SQUARE


def test_lost_objects_are_outside_until_found_again(annotation, server):
    server.track = lambda _, frame, mask: None if frame in (7, 8) else mask
    annotation.open([polygon_shape(SQUARE)])
    annotation.track(10)
    assert "lost on frames 7-8" in annotation.finished()
    assert keys(annotation.tracks[0]) == [(5, False), (6, False), (7, True), (9, False), (10, False), (11, True)]


def test_lost_backward(annotation, server):
    server.track = lambda _, frame, mask: None if frame in (0, 1, 3) else mask
    annotation.open([polygon_shape(SQUARE)])
    annotation.track(0)
    annotation.finished()
    assert keys(annotation.tracks[0]) == [(2, False), (3, True), (4, False), (5, False), (6, True)]


def test_masks_become_tracks_when_asked_but_not_for_a_label_of_masks(annotation):
    annotation.open([mask_shape(BOX, group=1), mask_shape(OTHER, label=2, group=2)])
    annotation.track(8, output="track")
    annotation.finished()
    [track] = annotation.tracks
    assert (track["label_id"], keys(track)) == (1, [(5, False), (6, False), (8, False), (9, True)])
    assert box_of(track["shapes"][0]) == (4, 6, 14, 16)
    assert sorted(annotation.masks(label_id=2)) == [5, 6, 7, 8]
    assert sorted(annotation.masks(label_id=1)) == []


def test_a_label_of_polygons_gets_no_masks(annotation):
    annotation.open([polygon_shape(SQUARE, label_id=3)])
    annotation.track(8, output="mask")
    annotation.finished()
    assert annotation.shapes == []
    assert keys(annotation.tracks[0]) == [(5, False), (6, False), (8, False), (9, True)]


def track_object(frames: dict[int, list[float] | None], **changes) -> dict:
    shapes = [
        {"id": 100 + frame, "frame": frame, "type": "polygon", "points": points or SQUARE, "outside": points is None,
         "occluded": False, "rotation": 0, "z_order": 0, "attributes": []}
        for frame, points in frames.items()
    ]  # fmt: skip
    return {
        "id": 55, "label_id": 1, "group": 0, "source": "auto", "frame": min(frames), "attributes": [], "elements": [],
        "shapes": shapes, **changes,
    }  # fmt: skip


def test_a_corrected_track_is_continued_from_its_keyframe(annotation):
    """Keyframes before it and after the target stay; what an earlier run left between is replaced."""
    elsewhere = [30, 6, 40, 6, 40, 16, 30, 16]
    track = track_object({2: elsewhere, 5: SQUARE, 7: elsewhere, 15: elsewhere})
    annotation.open(tracks=[sign_track(track, NAMES, kept=[5])])
    annotation.track(10)
    annotation.finished()
    [track] = annotation.tracks
    assert keys(track) == [(2, False), (5, False), (6, False), (10, False), (15, False)]
    assert box_of(track["shapes"][3]) == pytest.approx((14, 6, 24, 16), abs=0.11)
    assert "id" not in track
    assert all("id" not in shape for shape in track["shapes"])
    annotation.click("Undo")
    assert [shape["frame"] for shape in annotation.tracks[0]["shapes"]] == [2, 5, 7, 15]


def test_a_track_without_later_keyframes_ends_after_the_target(annotation):
    annotation.open(tracks=[track_object({5: SQUARE})])
    annotation.track(8)
    annotation.finished()
    assert keys(annotation.tracks[0]) == [(5, False), (6, False), (8, False), (9, True)]


def test_keyframes_drawn_by_hand_stay_and_lead_on(annotation, server):
    by_hand = [30, 20, 40, 20, 40, 30, 30, 30]
    annotation.open(tracks=[track_object({5: SQUARE, 8: by_hand, 10: None}, source="manual")])
    annotation.track(12)
    annotation.finished()
    [track] = annotation.tracks
    assert keys(track) == [(5, False), (6, False), (7, False), (8, False), (9, False), (10, True)]
    assert track["shapes"][3]["points"] == by_hand
    assert box_of(track["shapes"][4]) == pytest.approx((32, 20, 42, 30), abs=0.11)
    assert [(call["type"], call["frame"]) for call in server.calls][3:5] == [("init_tracking", 8), ("track", 9)]


def test_holes_and_smaller_parts_are_left_out_of_tracks(annotation, server):
    ring = (rectangle(4, 6, 20, 20) & ~rectangle(8, 10, 12, 14)) | rectangle(40, 30, 42, 32)
    annotation.open([mask_shape(ring, group=1)])
    annotation.track(6, output="track")
    annotation.finished()
    assert box_of(annotation.tracks[0]["shapes"][1]) == pytest.approx((6, 6, 23, 21), abs=0.11)
    assert (shifted(ring, 0) == ring).all()


def test_keyframes_are_signed_and_the_drawn_one_stays_a_persons(annotation):
    annotation.open([polygon_shape(SQUARE, group=2)])
    annotation.track(12)
    annotation.finished()
    assert keyframe_authors(annotation.tracks[0], NAMES) == {5: "person", 6: "ours", 12: "ours", 13: "ours"}


def test_a_corrected_keyframe_of_our_track_is_not_moved_back(annotation):
    """A person moved the keyframe on frame 8, CVAT or not changing the source, and tracks again from frame 5."""
    by_hand = [30, 20, 40, 20, 40, 30, 30, 30]
    track = sign_track(track_object({5: SQUARE, 8: SQUARE, 12: SQUARE}), NAMES, kept=[5])
    track["shapes"][1]["points"] = by_hand
    annotation.open(tracks=[track])
    annotation.track(12)
    annotation.finished()
    [after] = annotation.tracks
    assert [s["points"] for s in after["shapes"] if s["frame"] == 8] == [by_hand]
    assert keyframe_authors(after, NAMES)[8] == "person"
    assert author(after, NAMES) == "person"
    annotation.page.locator(".agss-vos-close").first.click()
    annotation.track(12)
    assert "Nothing changed" in annotation.finished()
    assert annotation.tracks == [after]
