"""Masks by the button: one per frame, held together by a group, one undo step; and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from button_page import mask_shape, polygon_shape, rectangle

BOX = rectangle(4, 6, 13, 15)
OTHER = rectangle(2, 30, 9, 39)


def shifted(mask: np.ndarray, steps: int) -> np.ndarray:
    out = np.zeros_like(mask)
    out[:, 2 * steps :] = mask[:, : mask.shape[1] - 2 * steps]
    return out


def test_all_objects_go_in_one_call_per_frame(annotation, server):
    annotation.open([mask_shape(BOX), mask_shape(OTHER, label=2)])
    annotation.track(9, output="mask")
    assert annotation.finished().startswith("Tracked 2 objects over 4 frames")

    start, *steps = server.calls
    assert (start["type"], start["frame"], start["job"], start["task"]) == ("init_tracking", 5, 11, 3)
    assert [shape["points"] for shape in start["shapes"]] == [mask_shape(BOX)["points"], mask_shape(OTHER)["points"]]
    sent = [(call["type"], call["frame"], len(call["states"])) for call in steps]
    assert sent == [("track", frame, 2) for frame in range(6, 10)]
    assert all(isinstance(state, str) for call in steps for state in call["states"])


def test_masks_share_a_new_group_with_their_source(annotation):
    second = mask_shape(OTHER, label=2, group=4, id=92)
    annotation.open([mask_shape(BOX, id=91), second, mask_shape(BOX, frame=0, group=7)])
    annotation.track(8, output="mask")
    annotation.finished()

    for mask, group in ((BOX, 8), (OTHER, 4)):
        found = annotation.masks(group=group)
        assert sorted(found) == [5, 6, 7, 8]
        assert all((found[5 + step] == shifted(mask, step)).all() for step in range(4))
    [copy] = [s for s in annotation.shapes if s["group"] == 8 and s["frame"] == 5]
    assert "id" not in copy
    assert copy["source"] == "manual"
    assert {s["source"] for s in annotation.shapes if s["frame"] in (6, 7, 8)} == {"auto"}
    assert [s["id"] for s in annotation.shapes if s["group"] == 4 and s["frame"] == 5] == [92]


def test_one_undo_takes_everything_back_and_redo_restores_it(annotation):
    annotation.open([mask_shape(BOX), mask_shape(OTHER)])
    before = annotation.shapes
    annotation.track(8)
    annotation.finished()
    after = annotation.shapes

    assert annotation.undo_steps == 1
    annotation.click("Undo")
    assert annotation.shapes == before
    annotation.click("Redo")
    assert annotation.shapes == after


def test_backward(annotation, server):
    annotation.open([mask_shape(BOX, group=1)])
    annotation.track(2)
    annotation.finished()
    assert [call["frame"] for call in server.calls] == [5, 4, 3, 2]
    assert sorted(annotation.masks(group=1)) == [2, 3, 4, 5]


def test_deleted_frames_are_left_out(annotation, server):
    annotation.open([mask_shape(BOX, group=1)], deleted={"7": True, "9": True})
    dialog = annotation.open_dialog()
    annotation.page.locator("#agss-vos-target").fill("9")
    assert "Forward over 3 frames. 1 deleted frame left out." not in dialog.inner_text()
    assert "Forward over 2 frames. 2 deleted frames left out." in dialog.inner_text()
    annotation.click("Track")
    annotation.finished()
    assert [call["frame"] for call in server.calls] == [5, 6, 8]
    assert sorted(annotation.masks(group=1)) == [5, 6, 8]


def test_a_deleted_frame_is_no_start(annotation, server):
    annotation.open([mask_shape(BOX)], deleted={"5": True})
    annotation.click("Track all")
    assert "Frame 5 is deleted" in annotation.page.get_by_role("alert").inner_text()
    assert server.calls == []


def test_the_second_job_keeps_to_its_own_frames(annotation, server):
    annotation.open([mask_shape(BOX, frame=22, group=1)], frames=range(20, 40), frame=22)
    dialog = annotation.open_dialog()
    target = annotation.page.locator("#agss-vos-target")
    assert (target.get_attribute("min"), target.get_attribute("max"), target.input_value()) == ("20", "39", "39")
    for wrong in ("40", "19", "22", "23.5", ""):
        target.fill(wrong)
        assert annotation.page.get_by_role("button", name="Track", exact=True).is_disabled(), wrong
    target.fill("40")
    assert "Choose a frame of this job, 20 to 39." in dialog.inner_text()
    annotation.click("Job start: frame 20")
    annotation.click("Track")
    annotation.finished()
    assert [call["frame"] for call in server.calls] == [22, 21, 20]


def test_a_lost_object_gets_no_mask_and_is_named(annotation, server):
    server.track = lambda thing, frame, mask: None if thing == 1 and frame in (7, 8) else mask
    annotation.open([mask_shape(BOX, group=1), mask_shape(OTHER, label=2, group=2)])
    annotation.track(10)
    text = annotation.finished()
    assert "dog (group 2): lost on frames 7-8" in text
    assert "car" not in text
    assert sorted(annotation.masks(group=2)) == [5, 6, 9, 10]
    annotation.click("Go to frame 7")
    assert annotation.fake("store.getState().annotation.player.frame.number") == 7


def test_an_object_that_is_never_found_stays_as_it_was(annotation, server):
    server.track = lambda *_: None
    annotation.open([mask_shape(BOX, id=91)])
    before = annotation.shapes
    annotation.track(8)
    annotation.finished()
    assert annotation.shapes == before


@pytest.mark.parametrize("points", [[10, 0, 0, 2, 4], [0, 0, 0, 0]])
def test_masks_without_a_pixel_count_as_lost_or_damaged(annotation, server, points):
    """[10, 0, 0, ...] is background only: lost. Four numbers are no mask: an error, and nothing is written."""
    server.answer = lambda m: {
        "states": [{"points": []}],
        "shapes": [{"type": "mask", "points": points if len(points) == 4 else [15, 0, 0, 2, 4]}],
    }
    annotation.open([mask_shape(BOX, group=1)])
    annotation.track(6)
    if len(points) == 4:
        assert "damaged mask" in annotation.page.get_by_role("alert").inner_text()
        annotation.click("End")
        assert annotation.undo_steps == 0
    else:
        assert "lost on frame 6" in annotation.finished()
    assert sorted(annotation.masks()) == [5]


def test_polygons_become_masks_when_asked(annotation, server):
    annotation.open([polygon_shape([4, 6, 14, 6, 14, 16, 4, 16], group=3)])
    annotation.track(7, output="mask")
    annotation.finished()
    assert server.calls[0]["shapes"] == [{"type": "mask", "points": mask_shape(BOX)["points"]}]
    assert sorted(annotation.masks(group=3)) == [6, 7]
    assert [s["points"] for s in annotation.shapes if s["type"] == "polygon"] == [[4, 6, 14, 6, 14, 16, 4, 16]]


def test_attributes_and_order_are_taken_over(annotation):
    attributes = [{"spec_id": 7, "value": "red"}, {"spec_id": 8, "value": "parked"}]
    annotation.open([mask_shape(BOX, group=1, attributes=attributes, z_order=3)])
    annotation.track(6)
    annotation.finished()
    [new] = [s for s in annotation.shapes if s["frame"] == 6]
    assert (new["attributes"], new["z_order"]) == (attributes, 3)


def test_a_second_run_replaces_the_first_and_adds_no_duplicates(annotation):
    annotation.open([mask_shape(BOX, group=1)])
    annotation.track(9)
    annotation.finished()
    first = {frame: mask.tobytes() for frame, mask in annotation.masks(group=1).items()}
    annotation.click("Close this message")
    annotation.track(9)
    annotation.finished()
    assert {frame: mask.tobytes() for frame, mask in annotation.masks(group=1).items()} == first
    assert annotation.undo_steps == 2


def test_masks_that_people_drew_on_the_way_stay_and_lead_on(annotation, server):
    corrected = rectangle(30, 20, 39, 29)
    by_hand = mask_shape(corrected, frame=7, group=1, id=5)
    annotation.open([mask_shape(BOX, group=1), mask_shape(OTHER, group=2), by_hand])
    annotation.track(9)
    annotation.finished()

    masks = annotation.masks(group=1)
    assert (masks[7] == corrected).all()
    assert [s["id"] for s in annotation.shapes if s["frame"] == 7 and s["group"] == 1] == [5]
    assert (masks[8] == shifted(corrected, 1)).all()
    assert (annotation.masks(group=2)[9] == shifted(OTHER, 4)).all()
    kinds = [(call["type"], call["frame"], len(call.get("states") or call["shapes"])) for call in server.calls]
    assert kinds[:2] == [("init_tracking", 5, 2), ("track", 6, 2)]
    assert kinds[2:] == [("track", 7, 1), ("init_tracking", 7, 1), ("track", 8, 2), ("track", 9, 2)]


def test_objects_that_share_a_group_are_told_apart(annotation):
    annotation.open([mask_shape(BOX, group=1), mask_shape(OTHER, group=1)])
    annotation.track(7)
    assert "1 object shared a group" in annotation.finished()
    assert sorted(annotation.masks(group=1)) == [5, 6, 7]
    assert sorted(annotation.masks(group=2)) == [5, 6, 7]


def test_only_the_selected_object(annotation, server):
    annotation.open([mask_shape(BOX, group=1), mask_shape(OTHER, label=2, group=2)])
    annotation.fake("select(argument)", annotation.shapes[1]["clientID"])
    annotation.open_dialog()
    annotation.page.get_by_label("Only the selected one: dog (group 2)").check()
    annotation.page.locator("#agss-vos-target").fill("7")
    annotation.click("Track")
    annotation.finished()
    assert [len(call.get("states") or call["shapes"]) for call in server.calls] == [1, 1, 1]
    assert sorted(annotation.masks(group=1)) == [5]
    assert sorted(annotation.masks(group=2)) == [5, 6, 7]


def test_objects_that_a_filter_hides_are_not_tracked(annotation, server):
    annotation.open([mask_shape(BOX, group=1), mask_shape(OTHER, label=2, group=2)], filters=[{"label_id": 2}])
    annotation.track(6)
    assert annotation.finished().startswith("Tracked 1 object over 1 frame")
    assert sorted(annotation.masks(group=2)) == [5]


def test_holes_survive(annotation, server):
    ring = rectangle(4, 6, 20, 20) & ~rectangle(8, 10, 12, 14)
    annotation.open([mask_shape(ring, group=1)])
    annotation.track(6)
    annotation.finished()
    assert (annotation.masks(group=1)[6] == shifted(ring, 1)).all()
