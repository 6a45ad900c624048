"""What people end is not tracked on until they show it again, so that it takes nothing from its neighbours."""

from __future__ import annotations

import pytest
from job_world import FRAMES, masks_of, track

from agss_model.masks import encode_cvat_mask

BOX = {0: [3, 4, 15, 18], 6: None, 9: [39, 4, 51, 18]}


def tracked(cvat):
    """By frame how many objects the function is asked to track."""
    asked = {}
    for call in cvat.lambda_calls:
        if call["type"] == "track":
            asked[call["frame"]] = max(asked.get(call["frame"], 0), len(call["states"]))
    return asked


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_an_object_that_is_outside_its_track_is_not_tracked_until_it_is_drawn_again(cvat, clip, direction):
    cvat.draw_track(1, "rectangle", BOX, group=3)
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(2, 0)), group=4)
    track(cvat, "--direction", direction)
    asked = tracked(cvat)
    assert {frame: count for frame, count in asked.items() if 6 <= frame < 9} == {6: 1, 7: 1, 8: 1}
    assert {asked[frame] for frame in (1, 5, FRAMES - 1)} == {2}
    assert {frame for frame, group in masks_of(cvat) if group == 4} == set(range(1, FRAMES))


@pytest.mark.parametrize(("last", "counts"), [(FRAMES, {2, 1}), (8, {2})])
def test_masks_that_were_deleted_up_to_the_end_say_that_the_object_ends(cvat, clip, last, counts):
    for number in (1, 2):
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(number, 0)), group=number)
    track(cvat)
    gone = [s for s in cvat.jobs[1].shapes if s["group"] == 1 and 6 <= s["frame"] < last]
    for shape in gone:
        cvat.jobs[1].shapes.remove(shape)
    cvat.lambda_calls.clear()
    track(cvat)
    assert {count for frame, count in tracked(cvat).items()} == counts
    assert {frame for frame, group in masks_of(cvat) if group == 1}.isdisjoint(range(6, last))
