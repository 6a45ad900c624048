"""Keyframes where a track is shown without one, and objects that are not there any more."""

from __future__ import annotations

import pytest
from button_page import mask_shape, rectangle
from test_button_tracks import NAMES, SQUARE, box_of, keys, track_object

from agss_model.cvat.authorship import keyframe_authors, sign_mask, sign_track

BOX = rectangle(4, 6, 13, 15)
RIGHT = [24, 6, 34, 6, 34, 16, 24, 16]


def ours(*frames: int, group: int = 1) -> list[dict]:
    return [sign_mask(mask_shape(BOX, frame=f, group=group, source="auto", score=0.9), NAMES, 3) for f in frames]


def end(annotation, *names: str) -> str:
    annotation.open_dialog()
    annotation.click("Not here any more…")
    for name in names:
        annotation.page.get_by_label(name).check()
    annotation.click("End them")
    return annotation.finished()


# -- keyframes


@pytest.mark.parametrize("source", ["manual", "auto"])
def test_a_keyframe_is_made_of_what_cvat_shows_and_tracked_from(annotation, source):
    annotation.open(tracks=[track_object({3: SQUARE, 13: RIGHT}, source=source)], frame=8)
    dialog = annotation.open_dialog()
    assert "No keyframe on frame 8." in dialog.inner_text()
    box = annotation.page.get_by_label("Make one here for 1 polygon track")
    assert box.is_checked()
    box.uncheck()
    assert annotation.page.get_by_role("button", name="Track", exact=True).is_disabled()
    box.check()
    annotation.page.locator("#agss-vos-target").fill("11")
    annotation.click("Track")
    annotation.finished()
    [track] = annotation.tracks
    assert [frame for frame, _ in keys(track)] == [3, 8, 9, 11, 13]
    assert box_of(track["shapes"][1]) == (14, 6, 24, 16)
    by = keyframe_authors(track, NAMES)
    assert (by[3], by[8], by[9], by[11]) == ("person", "person", "ours", "ours")
    assert annotation.undo_steps == 1


def test_beside_other_objects_a_keyframe_is_only_offered(annotation):
    annotation.open([mask_shape(BOX, frame=8, group=5)], tracks=[track_object({3: SQUARE})], frame=8)
    annotation.open_dialog()
    assert not annotation.page.get_by_label("Make one here").is_checked()
    annotation.page.locator("#agss-vos-target").fill("10")
    annotation.click("Track")
    annotation.finished()
    assert keys(annotation.tracks[0]) == [(3, False)]
    annotation.run_action({"Track to frame": "10", "Make keyframes here where tracks have none": "true"})
    assert annotation.errors == []
    assert [frame for frame, _ in keys(annotation.tracks[0])] == [3, 8, 9, 10, 11]


def test_tracks_that_are_outside_need_no_keyframe(annotation):
    annotation.open([mask_shape(BOX, frame=8)], tracks=[track_object({3: SQUARE, 6: None})], frame=8)
    annotation.open_dialog()
    assert annotation.page.locator("#agss-vos-keyframes").count() == 0


# -- ending


def test_masks_of_a_machine_go_from_there_on(annotation):
    annotation.open([mask_shape(BOX, frame=2, group=1), *ours(3, 4, 5, 6, 7), *ours(5, 6, group=2)], frame=5)
    assert "Ended 1 object on frame 5" in end(annotation, "car (group 1)")
    assert sorted(annotation.masks(group=1)) == [2, 3, 4]
    assert sorted(annotation.masks(group=2)) == [5, 6]
    assert annotation.undo_steps == 1
    annotation.click("Undo")
    assert sorted(annotation.masks(group=1)) == [2, 3, 4, 5, 6, 7]


def test_ended_masks_stay_ended_when_tracked_again(annotation):
    annotation.open([mask_shape(BOX, frame=2, group=1), *ours(3, 4, 5, 6)], frame=5)
    end(annotation, "car (group 1)")
    annotation.fake("goTo(2)")
    annotation.page.locator(".agss-vos-close").first.click()
    annotation.track(8)
    annotation.finished()
    assert sorted(annotation.masks(group=1)) == [2, 3, 4]


def test_what_a_person_drew_later_stays_and_is_named(annotation):
    annotation.open([*ours(3, 4, 5, 6, 8), mask_shape(BOX, frame=7, group=1)], frame=5)
    assert "car (group 1) is drawn again on frame 7" in end(annotation, "car (group 1)")
    assert sorted(annotation.masks(group=1)) == [3, 4, 7, 8]


def test_a_track_goes_outside_and_shows_before_what_it_showed(annotation):
    track = sign_track(track_object({2: SQUARE, 12: RIGHT}, group=4), NAMES, kept=[2])
    annotation.open(tracks=[track], frame=7)
    end(annotation, "car (group 4)")
    [after] = annotation.tracks
    assert keys(after) == [(2, False), (6, False), (7, True)]
    assert box_of(after["shapes"][1]) == pytest.approx((12, 6, 22, 16), abs=0.2)
    assert keyframe_authors(after, NAMES) == {2: "person", 6: "ours", 7: "person"}


def test_a_track_that_begins_there_goes_and_one_drawn_later_begins_later(annotation):
    again = track_object({5: SQUARE, 9: RIGHT}, source="manual", group=2)
    annotation.open(tracks=[track_object({5: SQUARE}, source="manual", group=1), again], frame=5)
    text = end(annotation, "car (group 1)", "car (group 2)")
    assert "car (group 2) is drawn again on frame 9" in text
    assert [(track["group"], keys(track)) for track in annotation.tracks] == [(2, [(9, False)])]


def test_boxes_can_be_ended_and_the_selected_one_is_chosen(annotation):
    box = track_object({2: SQUARE}, source="manual", group=3)
    box["shapes"][0] |= {"type": "rectangle", "points": [4, 6, 14, 16]}
    annotation.open([mask_shape(BOX, group=1), *ours(6)], tracks=[box])
    annotation.fake("select(argument)", annotation.shapes[0]["clientID"])
    annotation.open_dialog()
    annotation.click("Not here any more…")
    assert annotation.page.get_by_label("car (group 1): mask").is_checked()
    annotation.click("Back")
    annotation.page.locator("#agss-vos-target").wait_for()
    annotation.click("Not here any more…")
    annotation.page.get_by_label("car (group 1): mask").uncheck()
    assert annotation.page.get_by_role("button", name="End them").is_disabled()
    annotation.page.get_by_label("car (group 3): track").check()
    annotation.click("End them")
    annotation.finished()
    assert keys(annotation.tracks[0]) == [(2, False), (5, True)]
    assert sorted(annotation.masks(group=1)) == [5, 6]
