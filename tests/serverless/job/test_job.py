"""`agss cvat track` against a server that keeps CVAT's rules."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
from fake_cvat import TOKEN, FakeCvat, Function, colours
from job_world import FRAMES, LABELS, NAMES, Clip, contents, interpolated, masks_of, others, track

from agss_model.cvat.authorship import author
from agss_model.cvat.server import client as cvat_server
from agss_model.masks import decode_cvat_mask, encode_cvat_mask, polygons_to_mask
from agss_model.masks.polygons import Polygon


def test_masks_of_every_frame_with_group_and_score(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=5)
    cvat.draw(1, "polygon", 0, [80, 24, 92, 24, 92, 38, 80, 38], label_id=2, group=9, z_order=2)
    cvat.draw(1, "rectangle", 0, [3, 44, 15, 58])
    before = others(cvat)
    output = track(cvat)
    assert [{**shape, "id": 0} for shape in others(cvat)] == [
        {**shape, "id": 0, "group": shape["group"] or 10} for shape in before
    ]
    found = masks_of(cvat)
    assert set(found) == {(f, g) for f in range(1, FRAMES) for g in (5, 9, 10)}
    for (frame, group), mask in found.items():
        np.testing.assert_array_equal(mask, clip.mask({5: 1, 9: 2, 10: 3}[group], frame))
    own = [s for s in cvat.jobs[1].shapes if s["source"] == "auto" and 0 < s["score"] < 1]
    assert {(s["group"], s["label_id"], s["z_order"]) for s in own} == {(5, 1, 0), (9, 2, 2), (10, 1, 0)}
    assert all(author(s, NAMES) == "ours" and 0.99 < s["score"] < 1 for s in own)
    assert re.search(r"so that every export knows them: shape \d+ gets group 10\.", output)
    assert "Nothing stands out" in output
    assert len(cvat.lambda_calls) == FRAMES  # one request per frame for all three


def test_repeating_changes_nothing(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)))
    track(cvat)
    before = copy.deepcopy(cvat.jobs[1].shapes)
    writes = [r for r in cvat.requests if r[0] == "PATCH"]
    output = track(cvat)
    assert cvat.jobs[1].shapes == before
    assert [r for r in cvat.requests if r[0] == "PATCH"] == writes
    assert "nothing had to be changed" in output


@pytest.mark.parametrize("forget", [False, True])
def test_own_shapes_are_known_without_the_record(cvat, clip, tmp_path, forget):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat, "--to", 6)
    state = ["--state", tmp_path / "elsewhere"] if forget else []
    output = track(cvat, "--to", 9, *state)
    assert set(masks_of(cvat)) == {(f, 4) for f in range(1, 10)}
    assert "3 masks written" in output
    assert len(cvat.jobs[1].shapes) == 10


def test_a_dry_run_changes_nothing(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)))
    output = track(cvat, "--dry-run")
    assert not [r for r in cvat.requests if r[0] != "GET"]
    assert "person, group 1" in output
    assert "Dry run" in output


def test_what_a_person_edited_is_theirs_and_corrects_the_rest(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat)
    edited = next(s for s in cvat.jobs[1].shapes if s["frame"] == 5)
    smaller = clip.mask(1, 5)
    smaller[:8] = False
    edited["points"] = [float(p) for p in encode_cvat_mask(smaller)]  # source stays semi-auto, as CVAT leaves it
    kept = copy.deepcopy(edited)
    output = track(cvat)
    assert [s for s in cvat.jobs[1].shapes if s["frame"] == 5] == [kept]
    assert "drawn in 2 frames: 0, 5" in output
    assert set(masks_of(cvat)) == {(f, 4) for f in range(1, FRAMES)}


def test_a_deleted_start_takes_its_masks_along(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    second = cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(2, 0)), group=6)
    track(cvat)
    cvat.jobs[1].shapes = [s for s in cvat.jobs[1].shapes if s["id"] != second["id"]]
    output = track(cvat)
    assert set(masks_of(cvat)) == {(f, 4) for f in range(1, FRAMES)}
    assert f"{FRAMES - 1} earlier results removed" in output


def test_shapes_of_others_are_not_doubled(cvat, clip):
    """Detections, say, that the object has already on a frame in the middle."""
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    cvat.draw(1, "rectangle", 6, [0, 0, 9, 9], group=4, source="auto")
    track(cvat)
    assert set(masks_of(cvat)) == {(f, 4) for f in range(1, FRAMES) if f != 6}
    np.testing.assert_array_equal(masks_of(cvat)[7, 4], clip.mask(1, 7))


def test_deleted_frames_are_passed_over(cvat, clip):
    cvat.jobs[1].deleted = {0, 4, 5}
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(2, 0)), group=8)
    cvat.draw(1, "mask", 1, encode_cvat_mask(clip.mask(1, 1)), group=4)
    output = track(cvat)
    assert set(masks_of(cvat)) == {(f, 4) for f in range(2, FRAMES) if f not in (4, 5)}
    assert not {call["frame"] for call in cvat.lambda_calls} & {0, 4, 5}
    assert "2 deleted" in output


def test_a_job_that_begins_later_and_overlaps_another(clip):
    with FakeCvat(clip.images(), jobs=[(0, 6), (5, 11)]) as cvat:
        cvat.functions["agss-vos"] = Function(colours)
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)))
        cvat.draw(2, "mask", 5, encode_cvat_mask(clip.mask(1, 5)))
        track(cvat, number=1)
        first = copy.deepcopy(cvat.jobs[1])
        track(cvat, number=2)
        assert cvat.jobs[1] == first
        assert set(masks_of(cvat, 1)) == {(f, 1) for f in range(1, 7)}
        assert set(masks_of(cvat, 2)) == {(f, 2) for f in range(6, 12)}  # group 1 is taken in the task
        output = track(cvat, "--from", 3, number=2, code=2)
        assert "Frames 3 to 11 were asked for, but job 2 has 5 to 11" in output


@pytest.mark.parametrize("direction", ["backward", "both"])
def test_other_directions(cvat, clip, direction):
    cvat.draw(1, "mask", 8, encode_cvat_mask(clip.mask(1, 8)), group=4)
    output = track(cvat, "--direction", direction, "--from", 2)
    last = FRAMES if direction == "both" else 8
    assert set(masks_of(cvat)) == {(f, 4) for f in range(2, last) if f != 8}
    for (frame, _), mask in masks_of(cvat).items():
        np.testing.assert_array_equal(mask, clip.mask(1, frame))
    assert ("are not reached" in output) == (direction == "backward")


def test_between_two_drawings_both_directions_are_fused(cvat, clip):
    """An object that is drawn twice, and another that enters at the second drawing."""
    cvat.draw(1, "mask", 2, encode_cvat_mask(clip.mask(1, 2)), group=4)
    cvat.draw(1, "mask", 8, encode_cvat_mask(clip.mask(1, 8)), group=4)
    cvat.draw(1, "mask", 8, encode_cvat_mask(clip.mask(2, 8)), group=6)
    track(cvat, "--direction", "both")
    found = masks_of(cvat)
    assert {f for f, g in found if g == 4} == set(range(FRAMES)) - {2, 8}
    assert {f for f, g in found if g == 6} == set(range(FRAMES)) - {8}
    for (frame, group), mask in found.items():
        np.testing.assert_array_equal(mask, clip.mask({4: 1, 6: 2}[group], frame))


def test_shapes_without_a_group_on_later_frames_are_matched_and_reported(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)))
    again = cvat.draw(1, "mask", 6, encode_cvat_mask(clip.mask(1, 6)))
    new = cvat.draw(1, "mask", 6, encode_cvat_mask(clip.mask(3, 6)))
    before = others(cvat)
    output = track(cvat)
    assert f"shape {again['id']} has no group; it is taken for group 1 (overlap 1.00)" in output
    assert f"shape {new['id']} has no group and begins a new object, group 2" in output
    assert [s["points"] for s in others(cvat)] == [s["points"] for s in before]
    assert [s["group"] for s in others(cvat)] == [1, 1, 2]
    found = masks_of(cvat)
    assert {f for f, g in found if g == 1} == set(range(1, FRAMES)) - {6}
    assert {f for f, g in found if g == 2} == set(range(7, FRAMES))
    repeated = track(cvat)
    assert "nothing had to be changed" in repeated


def test_a_box_without_a_group_is_matched_by_where_it_is(cvat, clip):
    cvat.draw(1, "polygon", 0, [3, 4, 15, 4, 3, 18])
    box = cvat.draw(1, "rectangle", 6, [27, 4, 39, 18])
    assert f"shape {box['id']} has no group; it is taken for group 1" in track(cvat)


def test_small_shapes_lie_on_top_of_large_ones(cvat, clip):
    """Also when the large one was drawn later; z order comes first."""
    cvat.draw(1, "rectangle", 0, [3, 4, 15, 18], group=1)
    cvat.draw(1, "mask", 0, encode_cvat_mask(np.ones(clip.size, bool)), group=2, label_id=2)
    track(cvat, "--to", 3)
    np.testing.assert_array_equal(masks_of(cvat)[3, 1], clip.mask(1, 3))


def test_only_the_start_frame_on_request(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=1)
    cvat.draw(1, "mask", 6, encode_cvat_mask(clip.mask(3, 6)), group=2)
    track(cvat, "--keyframes", "start")
    assert {g for _, g in masks_of(cvat)} == {1}


def test_tracks_of_people_are_keyframes_and_their_outside_is_respected(cvat, clip):
    cvat.draw_track(1, "rectangle", {0: [3, 4, 15, 18], 4: [19, 4, 31, 18], 6: None, 9: [39, 4, 51, 18]}, group=3)
    [before] = copy.deepcopy(cvat.jobs[1].tracks)
    output = track(cvat)
    [after] = cvat.jobs[1].tracks
    assert not masks_of(cvat)
    drawn = {shape["frame"]: (shape["points"], shape["outside"]) for shape in before["shapes"]}
    now = {shape["frame"]: (shape["points"], shape["outside"]) for shape in after["shapes"]}
    assert {frame: now[frame] for frame in drawn} == drawn
    assert (after["source"], after["group"]) == ("manual", 3)
    for frame in range(FRAMES):
        points = interpolated(after, frame)
        assert (points is None) == (6 <= frame < 9)
        if points is not None and frame not in drawn:
            np.testing.assert_allclose(points, [3 + 4 * frame, 4, 15 + 4 * frame, 18], atol=2)
    assert "the track that is there gets keyframes" in output
    assert "1 track of people continued" in output
    assert "nothing had to be changed" in track(cvat)


def test_what_cannot_be_tracked_is_named(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)))
    cvat.draw(1, "ellipse", 0, [10, 10, 20, 5])
    cvat.draw(1, "rectangle", 0, [1, 1, 9, 9], rotation=30)
    cvat.draw(1, "mask", 0, [4, 500, 500, 501, 501])
    cvat.draw(1, "mask", 0, [9, 1, 1, 2, 2])
    output = track(cvat)
    for words in ("ellipse", "it is rotated", "no pixel of it lies in the frame", "cover 9 pixels, but its box has 4"):
        assert words in output
    assert {g for _, g in masks_of(cvat)} == {1}


def test_masks_beyond_the_image_are_cut(cvat, clip):
    cvat.draw(1, "mask", 0, [0, 22 * 20, -7, -2, 14, 17])
    track(cvat)
    np.testing.assert_array_equal(masks_of(cvat)[5, 1], clip.mask(1, 5))


def test_a_job_without_drawings(cvat):
    assert "no mask, polygon or box to track" in track(cvat, code=2)


def test_lost_objects_have_no_mask_and_are_listed_first():
    clip = Clip(hidden={1: {4, 5, 6}})
    with FakeCvat(clip.images()) as cvat:
        cvat.functions["agss-vos"] = Function(colours)
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
        output = track(cvat)
        assert {f for f, _ in masks_of(cvat)} == set(range(1, FRAMES)) - {4, 5, 6}
        assert "Look first at frames 4-6: person, group 4 lost" in output


@pytest.mark.parametrize("output", ["masks", "polygons"])
def test_attributes_are_carried_and_labels_of_all_pages_known(clip, output):
    with FakeCvat(clip.images(), labels=LABELS) as cvat:
        cvat.functions["agss-vos"] = Function(colours)
        values = [{"spec_id": 11, "value": "f"}]
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4, attributes=values)
        cvat.draw(1, "rectangle", 0, [3, 44, 15, 58], group=5, label_id=3)
        text = track(cvat, "--output", output)
        assert "its label is for shapes of type rectangle, so it gets tracks of boxes" in text
        assert {s["type"] for t in cvat.jobs[1].tracks if t["group"] == 5 for s in t["shapes"]} == {"rectangle"}
        own = [s for s in cvat.jobs[1].shapes + cvat.jobs[1].tracks if s["source"] == "auto" and s["group"] == 4]
        assert own
        for item in own:
            given = {a["spec_id"]: a["value"] for part in [item, *item.get("shapes", [])] for a in part["attributes"]}
            assert given == {11: "f", 12: "up"}
        assert "nothing had to be changed" in track(cvat, "--output", output)


def test_polygon_tracks_follow_and_end_where_the_object_is_lost():
    clip = Clip(hidden={1: {7, 8}})
    with FakeCvat(clip.images()) as cvat:
        cvat.functions["agss-vos"] = Function(colours)
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(2, 0)), group=6)
        track(cvat, "--output", "polygons", "--to", 10)
        tracks = {t["group"]: t for t in cvat.jobs[1].tracks}
        assert set(tracks) == {4, 6}
        assert all(
            author(t, NAMES) == "ours" and {s["type"] for s in t["shapes"]} == {"polygon"} for t in tracks.values()
        )
        assert len(tracks[6]["shapes"]) <= 4
        for frame in range(FRAMES):
            for group, number in ((4, 1), (6, 2)):
                points = interpolated(tracks[group], frame)
                expected = frame not in (0, 11) and clip.mask(number, frame).any()
                assert (points is not None) == expected
                if points is not None:
                    polygon = polygons_to_mask([Polygon.from_flat(points)], width=96, height=64)
                    mask = clip.mask(number, frame)
                    assert (polygon & mask).sum() / (polygon | mask).sum() > 0.85
        assert not masks_of(cvat)
        before = copy.deepcopy(cvat.jobs[1].tracks)
        track(cvat, "--output", "polygons", "--to", 10)
        assert cvat.jobs[1].tracks == before
        assert "more than the frames 0 to 5 asked for" in track(cvat, "--to", 5, code=2)
        track(cvat, "--to", 10)
        assert cvat.jobs[1].tracks == []
        assert {g for _, g in masks_of(cvat)} == {4, 6}
        track(cvat, "--output", "polygons", "--to", 10)
        assert not masks_of(cvat)


def test_holes_and_parts_that_polygons_lose_are_noted(cvat, clip):
    ring = clip.mask(1, 0)
    ring[8:14, 6:12] = False

    def ringed(body):
        reply = colours(body)
        for shape in reply["shapes"]:
            mask = decode_cvat_mask(shape["points"], width=96, height=64)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            mask[rows[0] + 4 : rows[-1] - 3, columns[0] + 3 : columns[-1] - 2] = False
            shape["points"] = encode_cvat_mask(mask)
        return reply

    cvat.functions["agss-vos"] = Function(ringed)
    cvat.draw(1, "mask", 0, encode_cvat_mask(ring), group=4)
    assert "left out or filled in" in track(cvat, "--output", "polygons")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("skip", [0, 1, 2])
@pytest.mark.parametrize("output", ["masks", "polygons"])
def test_a_server_that_dies_in_the_middle(clip, after, skip, output):
    """The command stops; repeated, it leaves what an uninterrupted run leaves, and nothing twice."""
    results = []
    for broken in (False, True):
        with FakeCvat(clip.images()) as cvat:
            cvat.functions["agss-vos"] = Function(colours)
            for number, group in ((1, 4), (2, 6)):
                cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(number, 0)), group=group)
            before = others(cvat)
            if broken:
                method, path = ("PATCH", "annotations") if output == "masks" else ("POST", "lambda")
                cvat.fail(method, path, skip=skip, times=1, after=after)
                cvat.fail("GET", "annotations", skip=1, times=8)  # the look afterwards fails too
                output_text = track(cvat, "--output", output, code=2)
                assert "No answer" in output_text
                cvat.faults.clear()
            track(cvat, "--output", output)
            assert others(cvat) == before
            tracks = [{k: v for k, v in t.items() if k not in ("id", "shapes")} for t in cvat.jobs[1].tracks]
            keys = [[(s["frame"], s["points"], s["outside"]) for s in t["shapes"]] for t in cvat.jobs[1].tracks]
            results.append((contents(cvat), tracks, keys))
    assert results[0] == results[1]


def test_a_reply_that_is_lost_in_passing_is_made_good_at_once(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    cvat.fail("PATCH", "annotations", after=True)
    cvat.fail("GET", "frame|labels|meta|annotations", times=2, status=503)
    cvat.fail("POST", "lambda", times=2, skip=3, status=504)
    track(cvat)
    assert sorted(f for f, *_ in contents(cvat)) == list(range(1, FRAMES))


def test_an_interrupted_run_goes_on_with_the_next_frame(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    cvat.fail("POST", "lambda", skip=7, times=99, status=500)
    assert "status 500" in track(cvat, code=2)
    cvat.faults.clear()
    cvat.lambda_calls.clear()
    assert "an unfinished run is continued" in track(cvat)
    assert [call["frame"] for call in cvat.lambda_calls] == list(range(6, FRAMES))
    assert sorted(f for f, *_ in contents(cvat)) == list(range(1, FRAMES))


def interrupt(cvat, clip):
    """A run of one object that ends after some frames, and the fault that ended it is over."""
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    cvat.fail("POST", "lambda", skip=7, times=99, status=500)
    track(cvat, code=2)
    cvat.faults.clear()


def test_states_that_expired_meanwhile(cvat, clip):
    interrupt(cvat, clip)
    cvat.expire_states()
    track(cvat)
    assert sorted(f for f, *_ in contents(cvat)) == list(range(1, FRAMES))


def test_a_drawing_added_during_an_interruption_starts_a_new_run(cvat, clip):
    interrupt(cvat, clip)
    cvat.draw(1, "mask", 2, encode_cvat_mask(clip.mask(3, 2)), group=7)
    assert "continued" not in track(cvat)
    assert {f for f, g in masks_of(cvat) if g == 7} == set(range(3, FRAMES))
    assert {f for f, g in masks_of(cvat) if g == 4} == set(range(1, FRAMES))


def test_an_edit_during_the_run_is_not_deleted(cvat, clip):
    """The run is about to replace a mask that somebody has just corrected."""
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat)
    victim = next(s for s in cvat.jobs[1].shapes if s["frame"] == 10)

    def edit_on_the_way(body):
        if len(cvat.lambda_calls) == FRAMES + 5:
            victim["points"] = [float(p) for p in encode_cvat_mask(clip.mask(3, 10))]
        reply = colours(body)
        for shape in reply["shapes"]:
            if shape and body["states"]:
                shape["points"] = encode_cvat_mask(clip.mask(3, 3))
        return reply

    cvat.functions["agss-vos"] = Function(edit_on_the_way, version=2)
    track(cvat)
    assert victim in cvat.jobs[1].shapes


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept this sign-in"),
        (403, "ask for the job to be assigned"),
        (404, "check the number"),
        (500, "status 500"),
        (504, "took longer"),
    ],
)
def test_refusals_are_explained(cvat, clip, status, words):
    cvat.fail("GET", r"/api/jobs/1$", times=99, status=status)
    output = track(cvat, code=2)
    assert words in output
    assert TOKEN not in output


@pytest.mark.parametrize("group", [0, 4])
def test_who_may_only_read_is_told_of_tokens_and_nothing_is_written(cvat, clip, group):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=group)
    cvat.fail("PATCH", "annotations", times=99, status=403)
    before = others(cvat)
    assert "an access token that is not read-only" in track(cvat, code=2)
    assert others(cvat) == before
    assert not masks_of(cvat)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (lambda body: {"shapes": [None]}, "status 500"),
        (lambda body: {"shapes": [], "states": []}, "without one state"),
        (lambda body: {"shapes": [{"type": "mask", "points": [1, 2]}], "states": [1]}, "no mask of the frame"),
        (lambda body: {"shapes": [], "states": [1]}, "without one shape"),
    ],
)
def test_functions_that_answer_nonsense(cvat, clip, reply, words):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)))

    def answer(body):
        nonsense = reply(body)
        return nonsense if body["states"] or "states" not in nonsense else colours(body)

    cvat.functions["agss-vos"] = Function(answer)
    assert words in track(cvat, code=2)


def test_only_functions_for_masks(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)))
    cvat.functions["boxes"] = Function(colours, types=None)
    assert "does not track masks" in track(cvat, "--function-id", "boxes", code=2)
    assert "/api/lambda/functions/nothing" in track(cvat, "--function-id", "nothing", code=2)


def test_jobs_that_are_no_sequence(cvat):
    cvat.jobs[1].extra = {"type": "ground_truth"}
    assert "ground truth" in track(cvat, code=2)
    cvat.jobs[1].extra = {"dimension": "3d"}
    assert "only 2D" in track(cvat, code=2)


def test_frames_of_several_sizes(cvat, monkeypatch):
    sizes = [{"width": 96, "height": 64}, {"width": 64, "height": 96}]
    monkeypatch.setattr(cvat, "_meta", lambda job: {"frames": sizes, "deleted_frames": []})
    assert "differ in size (96x64, 64x96)" in track(cvat, code=2)


def test_old_servers_are_refused(cvat):
    cvat.version = "2.39.0"
    assert "need 2.40" in track(cvat, code=2)


def test_masks_are_refused_where_their_signatures_would_be_dropped(cvat, clip):
    """Before 2.56 CVAT keeps no scores: a second run could not tell its own masks, and a correction led nowhere."""
    cvat.version, cvat.scores = "2.48.2", False
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)))
    assert "This CVAT keeps no scores of shapes" in track(cvat, code=2)
    assert [s["group"] for s in cvat.jobs[1].shapes] == [0]
    track(cvat, "--output", "polygons")
    assert "nothing had to be changed" in track(cvat, "--output", "polygons")


def test_legacy_functions_get_and_give_bare_boxes(cvat):
    """The rules of the stand-in itself, against the recorded contract."""
    seen = []

    def box(body):
        seen.append(body["shapes"])
        return {"shapes": [[1, 2, 3, 4]], "states": [{"n": 1}]}

    cvat.functions["boxes"] = Function(box, types=None)
    server = cvat_server.connect(cvat.url, token=TOKEN)
    shape = {"type": "rectangle", "points": [1, 1, 2, 2]}
    first = server.call("/api/lambda/functions/boxes", {"job": 1, "frame": 0, "shapes": [shape]})
    assert first["shapes"] == [{"type": "rectangle", "points": [1, 2, 3, 4]}]
    server.call("/api/lambda/functions/boxes", {"job": 1, "frame": 1, "states": first["states"]})
    assert seen == [[[1, 1, 2, 2]], [None]]
    for frame, states, words in ((99, [], "outside the job"), (1, ["x:1:2"], "Invalid or expired")):
        with pytest.raises(cvat_server.CvatError, match=words):
            server.call("/api/lambda/functions/boxes", {"job": 1, "frame": frame, "states": states})
