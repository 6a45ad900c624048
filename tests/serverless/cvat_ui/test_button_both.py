"""Both ways between what people drew around the current frame, with masks and with polygon tracks."""

from __future__ import annotations

import numpy as np
from button_page import mask_shape, polygon_shape, rectangle
from test_button_tracks import NAMES, SQUARE, keys, track_object

from agss_model.cvat.authorship import keyframe_authors, sign_mask, sign_track

BOX = rectangle(4, 6, 13, 15)
RIGHT = rectangle(34, 6, 43, 15)
BELOW = rectangle(4, 30, 13, 39)


def still(_: int, __: int, mask: np.ndarray) -> np.ndarray:
    return mask


def drawn(*frames: int, mask: np.ndarray = BOX, group: int = 1) -> list[dict]:
    return [mask_shape(mask, frame=frame, group=group) for frame in frames]


def test_between_two_drawings_each_half_follows_the_nearer_one(annotation, server):
    server.track = still
    annotation.open([*drawn(2), *drawn(8, mask=RIGHT)], frame=4)
    dialog = annotation.open_dialog()
    assert "Nothing is drawn on frame 4 itself." in dialog.inner_text()
    assert "1 object between frames 2 and 8" in dialog.inner_text()
    assert not annotation.page.locator("#agss-vos-target").is_visible()
    annotation.click("Track")
    assert annotation.finished().startswith("Tracked 1 object over 7 frames")
    masks = annotation.masks(group=1)
    assert sorted(masks) == list(range(2, 9))
    assert all((masks[frame] == (BOX if frame <= 5 else RIGHT)).all() for frame in masks)
    assert annotation.undo_steps == 1
    assert {shape["source"] for shape in annotation.shapes if shape["frame"] not in (2, 8)} == {"auto"}


def test_a_correction_on_the_current_frame_is_kept_and_both_sides_are_tracked_anew(annotation, server):
    server.track = still
    ours = [
        sign_mask(mask_shape(BELOW, frame=frame, group=1, source="auto", score=0.9), NAMES, 3) for frame in (3, 4, 6, 7)
    ]
    annotation.open([*drawn(2), *drawn(5, mask=RIGHT), *drawn(8), *ours], frame=5)
    annotation.track_both()
    annotation.finished()
    masks = annotation.masks(group=1)
    assert sorted(frame for frame in masks if (masks[frame] == RIGHT).all()) == [4, 5, 6]
    assert sorted(masks) == list(range(2, 9))
    assert not any((mask == BELOW).all() for mask in masks.values())


def test_shapes_without_a_group_or_on_one_side_are_left_alone(annotation, server):
    server.track = still
    annotation.open([*drawn(2, 8), *drawn(2, 8, mask=BELOW, group=0), *drawn(2, mask=RIGHT, group=4)], frame=5)
    annotation.track_both()
    assert "Tracked 1 object" in annotation.finished()
    assert sorted(annotation.masks(group=1)) == list(range(2, 9))
    assert sorted(annotation.masks(group=4)) == [2]


def test_each_object_between_its_own_drawings(annotation, server):
    server.track = still
    annotation.open([*drawn(0, 12), *drawn(4, 7, mask=BELOW, group=2)], frame=5)
    annotation.track_both()
    annotation.finished()
    assert sorted(annotation.masks(group=1)) == list(range(13))
    assert sorted(annotation.masks(group=2)) == [4, 5, 6, 7]


def test_nothing_on_both_sides_is_explained(annotation):
    annotation.open(drawn(2), frame=5)
    annotation.click("Track all")
    text = annotation.page.get_by_role("alert").inner_text()
    assert "no mask or polygon on frame 5" in text
    assert "one group (G)" in text


def test_a_track_between_two_keyframes_of_a_person(annotation, server):
    server.track = still
    right = [34, 6, 44, 6, 44, 16, 34, 16]
    annotation.open(tracks=[track_object({2: SQUARE, 9: right, 15: SQUARE}, source="manual")], frame=5)
    annotation.track_both()
    annotation.finished()
    [track] = annotation.tracks
    assert keys(track) == [(2, False), (3, False), (5, False), (6, False), (8, False), (9, False), (15, False)]
    by = keyframe_authors(track, NAMES)
    assert [frame for frame in by if by[frame] == "person"] == [2, 9, 15]
    assert track["shapes"][0]["points"] == SQUARE
    assert track["shapes"][5]["points"] == right
    annotation.page.locator(".agss-vos-close").first.click()
    annotation.track_both()
    assert "Nothing changed" in annotation.finished()


def test_a_tolerance_is_asked_for_wherever_a_track_is_made(annotation):
    tolerance, both = annotation.page.locator("#agss-vos-tolerance"), annotation.page.locator("#agss-vos-way")
    annotation.open(tracks=[track_object({2: SQUARE, 9: SQUARE}, source="manual")], frame=5)
    annotation.open_dialog()
    both.select_option("both")
    assert tolerance.is_visible()
    both.select_option("to")
    annotation.page.locator("#agss-vos-keyframes").set_checked(True)
    assert tolerance.is_visible()
    annotation.open(drawn(2, 8), frame=5)
    annotation.open_dialog()
    assert not tolerance.is_visible()
    annotation.page.locator("#agss-vos-output").select_option("track")
    assert tolerance.is_visible()


def test_the_last_keyframe_of_a_person_goes_on_to_be_shown(annotation, server):
    server.track = still
    annotation.open(tracks=[track_object({2: SQUARE, 9: SQUARE}, source="manual")], frame=5)
    annotation.track_both()
    annotation.finished()
    assert keys(annotation.tracks[0]) == [(2, False), (3, False), (8, False), (9, False)]


def test_where_a_person_said_outside_nothing_is_added_from_behind(annotation, server):
    """Outside from 4 on, up to the keyframe on 8: tracking backward from there adds nothing."""
    server.track = still
    track = track_object({2: SQUARE, 4: None, 8: SQUARE, 12: SQUARE}, source="manual")
    annotation.open(tracks=[track], frame=8)
    annotation.track(3)
    annotation.finished()
    assert keys(annotation.tracks[0]) == [(2, False), (4, True), (8, False), (12, False)]


def test_polygons_of_a_group_become_one_track(annotation, server):
    server.track = still
    shapes = [polygon_shape(SQUARE, frame=frame, group=3) for frame in (2, 8)]
    annotation.open(shapes, frame=5)
    annotation.track_both()
    annotation.finished()
    assert annotation.shapes == []
    [track] = annotation.tracks
    assert keys(track) == [(2, False), (3, False), (7, False), (8, False), (9, True)]
    assert keyframe_authors(track, NAMES) == {2: "person", 3: "ours", 7: "ours", 8: "person", 9: "ours"}


def test_deleted_frames_are_passed_over_both_ways(annotation, server):
    server.track = still
    annotation.open(drawn(2, 8), frame=5, deleted={"4": True, "6": True})
    annotation.track_both()
    annotation.finished()
    assert sorted(annotation.masks(group=1)) == [2, 3, 5, 7, 8]
    assert {call["frame"] for call in server.calls} == {2, 3, 5, 7, 8}


def test_stopping_keeps_only_what_is_fused(annotation, server):
    server.delay = 0.1
    annotation.open(drawn(2, 12), frame=5)
    annotation.track_both()
    while not any(call["frame"] == 4 and call["type"] == "track" for call in server.calls[11:]):
        annotation.page.wait_for_timeout(30)
    server.delay = 20
    annotation.click("Stop")
    annotation.page.get_by_role("button", name="Keep").click()
    annotation.finished()
    written = sorted(annotation.masks(group=1))
    assert written in ([2, 3, 12], [2, 3, 4, 12])


def test_only_the_selected_object_and_run_actions(annotation, server):
    server.track = still
    annotation.open([*drawn(2, 5, 8), *drawn(2, 5, 8, mask=BELOW, group=2)], frame=5)
    annotation.fake("select(argument)", annotation.shapes[1]["clientID"])
    annotation.open_dialog()
    annotation.page.locator("#agss-vos-way").select_option("both")
    annotation.page.get_by_label("Only the selected one").check()
    annotation.click("Track")
    annotation.finished()
    assert sorted(annotation.masks(group=1)) == list(range(2, 9))
    assert sorted(annotation.masks(group=2)) == [2, 5, 8]
    annotation.run_action({"Way": "Both ways between what people drew"})
    assert annotation.errors == []
    assert sorted(annotation.masks(group=2)) == list(range(2, 9))


def test_an_earlier_track_is_not_cut(annotation):
    ours = sign_track(track_object({0: SQUARE, 12: SQUARE}, group=1), NAMES)
    annotation.open(drawn(5), tracks=[ours])
    annotation.track(8)
    alert = annotation.page.get_by_role("alert")
    assert "over frames 0 to 19, which would be cut" in alert.inner_text()
    assert annotation.undo_steps == 0


def test_an_earlier_track_elsewhere_stays(annotation):
    ours = sign_track(track_object({0: SQUARE, 3: None}, group=1), NAMES)
    annotation.open(drawn(5), tracks=[ours])
    annotation.track(8)
    annotation.finished()
    assert [keys(track) for track in annotation.tracks] == [[(0, False), (3, True)]]
    assert sorted(annotation.masks(group=1)) == [5, 6, 7, 8]
