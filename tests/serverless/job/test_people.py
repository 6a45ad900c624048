"""Nothing that people did is lost, moved or doubled by `agss cvat track`, on any machine."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import pytest
from fake_cvat import FakeCvat, Function, colours
from job_world import FRAMES, LABELS, NAMES, Clip, interpolated, masks_of, track

from agss_model.cvat.authorship import author, keyframe_authors
from agss_model.masks import encode_cvat_mask, polygons_to_mask
from agss_model.masks.polygons import Polygon


@pytest.fixture(params=[False, True], ids=["here", "elsewhere"])
def again(request, cvat, tmp_path):
    """The same command once more, on this machine or on another one, which has no record of the job."""

    def run(*arguments):
        return track(cvat, *arguments, *(["--state", tmp_path / "elsewhere"] if request.param else []))

    return run


def own(cvat):
    return [s for s in cvat.jobs[1].shapes if author(s, NAMES) == "ours"]


def doubles(cvat):
    """Frames on which CVAT shows two shapes of one object."""
    seen = Counter((s["frame"], s["group"]) for s in cvat.jobs[1].shapes)
    for t in cvat.jobs[1].tracks:
        seen.update((f, t["group"]) for f in range(FRAMES) if interpolated(t, f) is not None)
    return [where for where, times in seen.items() if times > 1]


def square(clip, number, frame):
    y, x = np.nonzero(clip.mask(number, frame))
    return [x.min(), y.min(), x.max() + 1, y.min(), x.max() + 1, y.max() + 1, x.min(), y.max() + 1]


def test_drawings_without_a_group_get_one_so_that_another_machine_knows_them(cvat, clip, again):
    for number in (1, 2, 3):
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(number, 0)))
    assert "shape 101 gets group 1, shape 102 gets group 2, shape 103 gets group 3" in track(cvat, "--dry-run")
    assert {s["group"] for s in cvat.jobs[1].shapes} == {0}
    assert "3 drawings got a group" in track(cvat)
    drawn = [s for s in cvat.jobs[1].shapes if s["frame"] == 0]
    assert [(s["group"], s["source"]) for s in drawn] == [(1, "manual"), (2, "manual"), (3, "manual")]
    before = copy.deepcopy(cvat.jobs[1].shapes)
    assert "nothing had to be changed" in again()
    assert cvat.jobs[1].shapes == before
    assert not doubles(cvat)


@pytest.mark.parametrize("gone", [range(5, 6), range(5, 8)])
def test_what_was_deleted_stays_deleted(cvat, clip, again, gone):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat)
    cvat.jobs[1].shapes = [s for s in cvat.jobs[1].shapes if s["frame"] not in gone]
    output = again()
    assert set(masks_of(cvat)) == {(f, 4) for f in range(1, FRAMES) if f not in gone}
    assert "what was deleted of an earlier run" in output
    assert set(masks_of(cvat)) == {(f, 4) for f in range(1, FRAMES) if f not in gone}
    again()
    assert set(masks_of(cvat)) == {(f, 4) for f in range(1, FRAMES) if f not in gone}
    again("--deleted", "again")
    assert set(masks_of(cvat)) == {(f, 4) for f in range(1, FRAMES)}
    assert "deleted" not in again().replace("earlier result", "")


@pytest.mark.parametrize("output", ["masks", "polygons"])
def test_what_was_deleted_to_the_end_stays_deleted_on_the_machine_that_wrote_it(cvat, clip, output):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat, "--output", output)
    cvat.jobs[1].shapes = [s for s in cvat.jobs[1].shapes if s["frame"] < 8]
    cvat.jobs[1].tracks = []
    before = copy.deepcopy(cvat.jobs[1].shapes)
    assert "what was deleted of an earlier run" in track(cvat, "--output", output)
    assert cvat.jobs[1].shapes == before
    assert not cvat.jobs[1].tracks


def test_what_an_interrupted_run_did_not_reach_was_not_deleted(cvat, clip, again):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    cvat.fail("POST", "lambda", skip=7, times=99, status=500)
    track(cvat, code=2)
    cvat.faults.clear()
    assert "deleted" not in again()
    assert set(masks_of(cvat)) == {(f, 4) for f in range(1, FRAMES)}


def with_attributes(clip):
    cvat = FakeCvat(clip.images(), labels=LABELS)
    cvat.functions["agss-vos"] = Function(colours)
    return cvat


def values(item):
    return {a["spec_id"]: a["value"] for a in item["attributes"]}


def test_an_attribute_that_a_person_edited_is_kept_and_carried_on(clip, tmp_path):
    with with_attributes(clip) as cvat:
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
        track(cvat)
        edited = next(s for s in cvat.jobs[1].shapes if s["frame"] == 5)
        edited["attributes"] = [{"spec_id": 11, "value": "f"}, {"spec_id": 12, "value": "sits"}]  # the source stays
        kept = copy.deepcopy(edited)
        track(cvat, "--state", tmp_path / "elsewhere")
        assert [s for s in cvat.jobs[1].shapes if s["frame"] == 5] == [kept]
        poses = {s["frame"]: values(s)[12] for s in cvat.jobs[1].shapes}
        assert poses == {f: "up" if f < 5 else "sits" for f in range(FRAMES)}
        assert len(cvat.jobs[1].shapes) == FRAMES


def test_a_track_of_ours_with_another_label_is_continued_with_that_labels_attributes(clip):
    with with_attributes(clip) as cvat:
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
        track(cvat, "--output", "polygons")
        [made] = cvat.jobs[1].tracks
        made.update(label_id=2, source="semi-auto", attributes=[])
        for key in made["shapes"]:
            key["attributes"] = []
        track(cvat, "--output", "polygons")
        [after] = cvat.jobs[1].tracks
        assert after["label_id"] == 2
        assert "nothing had to be changed" in track(cvat, "--output", "polygons")


@pytest.mark.parametrize("output", ["masks", "polygons"])
def test_backward_attributes_come_from_the_drawing(clip, output):
    with with_attributes(clip) as cvat:
        given = [{"spec_id": 11, "value": "f"}, {"spec_id": 12, "value": "sits"}]
        cvat.draw(1, "mask", 9, encode_cvat_mask(clip.mask(1, 9)), group=4, attributes=given)
        track(cvat, "--direction", "backward", "--output", output)
        if output == "masks":
            assert {values(s)[12] for s in cvat.jobs[1].shapes} == {"sits"}
        else:
            assert {values(s)[12] for s in cvat.jobs[1].tracks[0]["shapes"]} == {"sits"}


def test_a_shape_with_another_label_is_no_rival_object(cvat, clip, again):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat)
    renamed = next(s for s in cvat.jobs[1].shapes if s["frame"] == 5)
    renamed.update(label_id=2, source="semi-auto")
    kept = copy.deepcopy(renamed)
    again()
    assert [s for s in cvat.jobs[1].shapes if s["label_id"] == 2] == [kept]
    assert not doubles(cvat)
    assert len(cvat.jobs[1].shapes) == FRAMES


@pytest.mark.parametrize("output", ["masks", "polygons"])
@pytest.mark.parametrize("kind", ["polygon", "rectangle"])
def test_a_track_of_one_keyframe_is_continued(cvat, clip, again, kind, output):
    points = square(clip, 1, 0)
    points = points if kind == "polygon" else [points[0], points[1], points[4], points[5]]
    drawn = cvat.draw_track(1, kind, {0: points})
    track(cvat, "--output", output)
    [after] = cvat.jobs[1].tracks
    assert after["shapes"][0]["points"] == drawn["shapes"][0]["points"]
    assert (after["source"], after["group"], after["label_id"]) == ("manual", 0, 1)
    assert not own(cvat)
    assert len(after["shapes"]) <= 4
    for frame in range(1, FRAMES):
        shown = interpolated(after, frame)
        if kind == "rectangle":
            np.testing.assert_allclose(shown, np.add(points, [4 * frame, 0, 4 * frame, 0]), atol=2)
        else:
            mask = polygons_to_mask([Polygon.from_flat(shown)], width=96, height=64)
            truth = clip.mask(1, frame)
            assert (mask & truth).sum() / (mask | truth).sum() > 0.85
    assert "nothing had to be changed" in again("--output", output)
    assert cvat.jobs[1].tracks == [after]


def test_a_track_ends_where_its_object_is_lost(tmp_path):
    clip = Clip(hidden={1: {4, 5, 9, 10, 11}})
    with FakeCvat(clip.images()) as cvat:
        cvat.functions["agss-vos"] = Function(colours)
        cvat.draw_track(1, "polygon", {0: square(clip, 1, 0)})
        track(cvat)
        [after] = cvat.jobs[1].tracks
        assert {f for f in range(FRAMES) if interpolated(after, f) is None} == {4, 5, 9, 10, 11}


def test_only_the_asked_frames_of_a_track_change(cvat, clip):
    cvat.draw_track(1, "polygon", {0: square(clip, 1, 0)})
    track(cvat)
    whole = copy.deepcopy(cvat.jobs[1].tracks[0])
    shown = [interpolated(whole, frame) for frame in range(FRAMES)]
    cvat.functions["agss-vos"] = Function(lambda body: smaller(colours(body)), version=2)
    track(cvat, "--to", 5)
    [after] = cvat.jobs[1].tracks
    for frame in range(FRAMES):
        now = interpolated(after, frame)
        same = len(now) == len(shown[frame]) and np.abs(now - shown[frame]).max() < 0.3
        assert same == (frame in (0, *range(6, FRAMES)))


def smaller(reply):
    for shape in reply["shapes"]:
        *_, left, top, right, bottom = shape["points"]
        shape["points"] = [0, (right - left - 3) * (bottom - top + 1), left + 4, top, right, bottom]
    return reply


def test_a_corrected_keyframe_of_our_own_track_stays_and_leads_on(cvat, clip, again):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat, "--output", "polygons")
    [made] = cvat.jobs[1].tracks
    assert author(made, NAMES) == "ours"
    key = max(made["shapes"], key=lambda s: s["frame"])
    moved = square(clip, 3, 6)  # the person says that it is another square from here on
    made["shapes"].append({**key, "id": 999, "frame": 6, "points": [float(v) for v in moved]})
    made["source"] = "semi-auto"
    again("--output", "polygons")
    [after] = cvat.jobs[1].tracks
    assert keyframe_authors(after, NAMES)[6] == "person"
    assert [s["points"] for s in after["shapes"] if s["frame"] == 6] == [[float(v) for v in moved]]
    for frame in range(1, FRAMES):
        mask = polygons_to_mask([Polygon.from_flat(interpolated(after, frame))], width=96, height=64)
        truth = clip.mask(1 if frame < 6 else 3, frame)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.85
    assert not doubles(cvat)
    assert "nothing had to be changed" in again("--output", "polygons")


def test_a_drawing_beside_a_track_that_shows_something_there_is_not_doubled(cvat, clip):
    """Two tracks of one object cannot both be continued, so they are left alone, and nothing is drawn beside them."""
    for number in (1, 2):
        cvat.draw_track(1, "polygon", {0: square(clip, number, 0)}, group=7)
    before = copy.deepcopy(cvat.jobs[1].tracks)
    output = track(cvat)
    assert cvat.jobs[1].tracks == before
    assert not own(cvat)
    assert "are tracks of one label and one group; such tracks are left alone" in output


def test_a_drawing_made_during_the_run_has_nothing_beside_it(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)

    def draw_meanwhile(body):
        if len(cvat.lambda_calls) == 6:
            cvat.draw(1, "mask", 10, encode_cvat_mask(clip.mask(3, 10)), group=4)
        return colours(body)

    cvat.functions["agss-vos"] = Function(draw_meanwhile)
    track(cvat)
    assert [s["source"] for s in cvat.jobs[1].shapes if s["frame"] == 10] == ["manual"]
    assert not doubles(cvat)


def test_an_annotator_who_may_not_read_the_task_gets_groups_of_the_job(cvat, clip):
    """CVAT lets people to whom only a job is assigned read that job alone."""
    cvat.fail("GET", r"/api/tasks/\d+/annotations", times=99, status=403)
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(2, 0)), group=5)
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)))
    said = track(cvat)
    assert "may not read the other jobs of the task" in said
    assert {s["group"] for s in cvat.jobs[1].shapes} == {5, 6}


def test_a_drawing_that_is_what_a_machine_made_gets_its_group_and_takes_its_place(cvat, clip, again):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat)
    cvat.draw(1, "mask", 8, encode_cvat_mask(clip.mask(1, 8)))
    assert "is taken for group 4" in again()
    assert [(s["group"], s["source"]) for s in cvat.jobs[1].shapes if s["frame"] == 8] == [(4, "manual")]
    assert not doubles(cvat)


def test_a_mask_deleted_during_the_run_stays_deleted(cvat, clip, again):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat)
    cvat.draw(1, "mask", 5, encode_cvat_mask(np.roll(clip.mask(1, 5), 1, axis=1)), group=4)
    cvat.lambda_calls.clear()

    def delete_meanwhile(body):
        if len(cvat.lambda_calls) == 4:
            cvat.jobs[1].shapes = [s for s in cvat.jobs[1].shapes if s["frame"] != 8]
        return smaller(colours(body)) if body["states"] else colours(body)

    cvat.functions["agss-vos"] = Function(delete_meanwhile, version=2)
    track(cvat)
    assert {s["frame"] for s in cvat.jobs[1].shapes} == set(range(FRAMES)) - {8}
    assert "stays deleted" in again()
    assert {s["frame"] for s in cvat.jobs[1].shapes} == set(range(FRAMES)) - {8}


def test_a_track_deleted_during_the_run_stays_deleted(cvat, clip):
    cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
    track(cvat, "--output", "polygons")
    cvat.lambda_calls.clear()

    def delete_meanwhile(body):
        if len(cvat.lambda_calls) == 4:
            cvat.jobs[1].tracks = []
        return smaller(colours(body)) if body["states"] else colours(body)

    cvat.functions["agss-vos"] = Function(delete_meanwhile, version=2)
    track(cvat, "--output", "polygons")
    assert not cvat.jobs[1].tracks
    assert "stays deleted" in track(cvat, "--output", "polygons")
    assert not cvat.jobs[1].tracks


def test_an_edit_of_a_track_during_the_run_is_kept(cvat, clip):
    drawn = cvat.draw_track(1, "polygon", {0: square(clip, 1, 0)})

    def edit_meanwhile(body):
        if len(cvat.lambda_calls) == 6:
            cvat.jobs[1].tracks[0]["shapes"][0]["points"][0] = 1.0
        return colours(body)

    cvat.functions["agss-vos"] = Function(edit_meanwhile)
    assert f"track {drawn['id']} was edited during the run and stays so" in track(cvat)
    assert cvat.jobs[1].tracks[0]["shapes"][0]["points"][0] == 1.0
    track(cvat)
    assert len(cvat.jobs[1].tracks[0]["shapes"]) > 1


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_counts_are_those_of_frames(cvat, clip, direction):
    cvat.draw(1, "mask", 5, encode_cvat_mask(clip.mask(1, 5)), group=4)
    cvat.draw(1, "mask", 5, encode_cvat_mask(clip.mask(2, 5)), group=5)
    cvat.draw(1, "mask", 8, encode_cvat_mask(clip.mask(1, 8)), group=4)
    frames = {"forward": 7, "backward": 9, "both": 12}[direction]
    assert f"Went through {frames} frames;" in track(cvat, "--direction", direction)


def test_one_of_something_is_not_called_many(cvat, clip):
    cvat.draw(1, "mask", 10, encode_cvat_mask(clip.mask(1, 10)), group=4)
    assert "1 mask written." in track(cvat)
    output = track(cvat, "--output", "polygons")
    assert "1 track written; 1 earlier result removed." in output


def test_labels_are_text_not_markup(clip):
    names = ["[/person]", "person [left]\x1b[31m"]
    with FakeCvat(clip.images(), labels=names) as cvat:
        cvat.functions["agss-vos"] = Function(colours)
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(1, 0)), group=4)
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(2, 0)), group=5, label_id=2)
        output = track(cvat)
        assert "[/person], group 4" in output
        assert "person [left]?[31m, group 5" in output
        assert "\x1b" not in output
