"""The button and the real function understand each other: `lite` as shipped behind the page."""

from __future__ import annotations

import numpy as np
import pytest
from button_page import Annotation, mask_shape, polygon_shape
from button_server import ButtonServer
from function_client import Clip, Function, overlap, picture

from agss_model.masks import Polygon, polygons_to_mask
from serverless.job.read import JobInfo
from serverless.job.track import FunctionTracking


@pytest.fixture
def clip() -> Clip:
    return Clip(objects=3)


@pytest.fixture
def annotation(page, clip: Clip):
    """A page whose lambda calls reach the handler, with frames of the clip."""
    server, function = ButtonServer(clip.width, clip.height), Function()

    def answer(message: dict) -> dict:
        states = message.get("states") or []
        shapes = message.get("shapes") or [None] * len(states)
        image = picture(clip.frame(message["frame"]))
        status, reply = function.post({"image": image, "shapes": shapes, "states": states})
        assert status == 200, reply
        return reply

    server.answer, server.stills = answer, clip.frame
    page.set_default_timeout(60_000)
    yield Annotation(page, server)
    server.close()


def test_masks_of_all_objects_follow_them_and_a_correction_leads_on(annotation, clip):
    shapes = [mask_shape(mask, frame=2, group=k + 1) for k, mask in enumerate(clip.masks(2))]
    corrected = mask_shape(clip.masks(5)[1], frame=5, group=2)
    annotation.open([*shapes, corrected], frames=range(10), frame=2)
    annotation.track(7)
    annotation.finished()

    for group in (1, 2, 3):
        masks = annotation.masks(group=group)
        assert sorted(masks) == [2, 3, 4, 5, 6, 7]
        assert all(overlap(mask, clip.masks(frame)[group - 1]) > 0.75 for frame, mask in masks.items())
    assert [call["frame"] for call in annotation.server.calls] == [2, 3, 4, 5, 5, 6, 7]
    starts = [call["frame"] for call in annotation.server.calls if call["type"] == "init_tracking"]
    assert starts == [2, 5]


def test_polygon_tracks_backward(annotation, clip):
    corners = []
    for mask in clip.masks(6):
        (top, bottom), (left, right) = (np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0))
        corners.append([int(v) for v in (left, top, right + 1, top, right + 1, bottom + 1, left, bottom + 1)])
    annotation.open([polygon_shape(points, frame=6) for points in corners], frames=range(10), frame=6)
    annotation.track(2, tolerance="3")
    annotation.finished()

    assert annotation.shapes == []
    assert len(annotation.tracks) == 3
    for truth, track in zip(clip.masks(2), annotation.tracks, strict=True):
        first = track["shapes"][0]
        assert (first["frame"], track["shapes"][-1]["frame"], track["shapes"][-1]["outside"]) == (2, 7, True)
        drawn = polygons_to_mask([Polygon.from_flat(first["points"])], width=clip.width, height=clip.height)
        assert overlap(drawn, truth) > 0.7


def test_both_ways_the_masks_are_those_of_the_job_command(annotation, clip):
    """Three objects between frames 2 and 8, one of them corrected on frame 5: pixel for pixel what the command gets."""
    maps = {}
    for frame, numbers in ((2, (1, 2, 3)), (5, (2,)), (8, (1, 2, 3))):
        maps[frame] = np.zeros((clip.height, clip.width), np.uint8)
        for number in numbers:
            maps[frame][clip.masks(frame)[number - 1]] = number
    shapes = [
        mask_shape(labels == number, frame=frame, group=int(number))
        for frame, labels in maps.items()
        for number in np.unique(labels[labels > 0])
    ]
    annotation.open(shapes, frames=range(10), frame=5)
    annotation.track_both()
    annotation.finished()

    class Served:
        def call(self, _: str, body: dict) -> dict:
            return annotation.server.answer(body)

    info = JobInfo(11, 3, 0, 9, frozenset(), (clip.width, clip.height), {})
    results = list(FunctionTracking(Served(), "agss-vos", info, range(10)).both(maps, {}, 2, 9))
    assert [result.frame_index for result in results] == list(range(2, 9))
    for group in (1, 2, 3):
        masks = annotation.masks(group=group)
        for result in results:
            here = result.label_map == group
            assert (masks[result.frame_index] == here).all() if here.any() else result.frame_index not in masks
