"""Masks say beside which frames others were written: any machine notices what a person deleted, and only that."""

from __future__ import annotations

import pytest
from fake_cvat import Function, colours
from job_world import FRAMES, contents, masks_of, track

from agss_model.cvat.authorship import NEXT, PREVIOUS, near_of
from agss_model.masks import encode_cvat_mask

LAST = FRAMES - 1


def near(cvat):
    return {shape["frame"]: near_of(shape) for shape in cvat.jobs[1].shapes if near_of(shape)}


def expected(first=1, last=LAST):
    """Of masks in all of these frames beside a drawing."""
    return {f: (PREVIOUS if f > first else 0) | (NEXT if f < last else 0) for f in range(first, last + 1)}


def draw(cvat, clip, frame=0):
    cvat.draw(1, "mask", frame, encode_cvat_mask(clip.mask(1, frame)), group=4)


def delete(cvat, *frames):
    cvat.jobs[1].shapes = [shape for shape in cvat.jobs[1].shapes if shape["frame"] not in frames]


@pytest.mark.parametrize("first", range(2, FRAMES))
def test_a_deletion_up_to_the_end_is_noticed_on_any_machine_wherever_it_begins(cvat, clip, tmp_path, first):
    draw(cvat, clip)
    track(cvat)
    delete(cvat, *range(first, FRAMES))
    before = contents(cvat)
    track(cvat, "--state", tmp_path / "elsewhere")
    assert contents(cvat) == before


@pytest.mark.parametrize("last", range(1, 10))
def test_a_deletion_down_to_the_start_is_noticed_on_any_machine_wherever_it_ends(cvat, clip, tmp_path, last):
    draw(cvat, clip, LAST)
    track(cvat, "--direction", "backward")
    assert near(cvat) == expected(0, LAST - 1)
    delete(cvat, *range(last))
    before = contents(cvat)
    track(cvat, "--direction", "backward", "--state", tmp_path / "elsewhere")
    assert contents(cvat) == before


def test_two_runs_over_parts_of_a_job_join_where_they_meet(cvat, clip, tmp_path):
    draw(cvat, clip)
    track(cvat, "--to", 4)
    assert near(cvat) == expected(1, 4)
    track(cvat)
    assert near(cvat) == expected()
    draw(cvat, clip, 6)  # beside it nothing is said of the drawing
    track(cvat, "--from", 6, "--state", tmp_path / "elsewhere")
    track(cvat, "--to", 4, "--state", tmp_path / "elsewhere")
    before = contents(cvat)
    delete(cvat, 3, 4)
    track(cvat, "--state", tmp_path / "third")
    assert {frame for frame, _ in masks_of(cvat)} == set(range(1, FRAMES)) - {3, 4, 6}
    assert contents(cvat) != before


def test_a_run_over_a_part_leaves_what_lies_beyond_in_agreement(cvat, clip, tmp_path):
    """An object that is lost at the end of the part is not taken for deleted later."""
    draw(cvat, clip)
    track(cvat)
    clip.hidden[1] = {4}
    cvat.images[:] = clip.images()
    track(cvat, "--to", 4, "--state", tmp_path / "elsewhere")
    assert near(cvat) == {**expected(1, 3), **expected(5, LAST)}
    clip.hidden.clear()
    cvat.images[:] = clip.images()
    assert "deleted" not in track(cvat, "--state", tmp_path / "third")
    assert near(cvat) == expected()


@pytest.mark.parametrize("action", ["create", "delete", "update"])
@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("output", ["masks", "polygons"])
def test_what_a_run_was_replacing_when_the_server_went_is_not_taken_for_deleted(
    cvat, clip, tmp_path, action, elsewhere, after, output
):
    draw(cvat, clip)
    track(cvat, "--output", output)
    clip.hidden[1] = {5}  # the masks beside it change as well, and a track
    cvat.images[:] = clip.images()
    cvat.fail("PATCH", f"action={action}", times=99, status=503, after=after)
    track(cvat, "--output", output, code=None)
    cvat.faults.clear()
    clip.hidden.clear()
    cvat.images[:] = clip.images()
    state = ["--state", tmp_path / "elsewhere"] if elsewhere else []
    assert "deleted" not in track(cvat, "--output", output, *state)
    there = set(masks_of(cvat)) | {(t["frame"], 4) for t in cvat.jobs[1].tracks}
    assert there == ({(f, 4) for f in range(1, FRAMES)} if output == "masks" else {(1, 4)})


@pytest.mark.parametrize("edited", [False, True])
def test_what_a_person_does_to_the_end_of_a_block_during_the_run_stays(cvat, clip, tmp_path, edited):
    """The next block would tell that mask of what follows it."""
    draw(cvat, clip)

    def work_on_2(body):
        if len(cvat.lambda_calls) == 5:
            last = next(shape for shape in cvat.jobs[1].shapes if shape["frame"] == 2)
            delete(cvat, 2)
            if edited:
                cvat.draw(1, "mask", 2, [0, 4, 1, 1, 2, 2], group=4, source="semi-auto", score=last["score"])
        return colours(body)

    cvat.functions["agss-vos"] = Function(work_on_2)
    seen = []
    cvat.faults.append(lambda method, path, done: seen.append(list(cvat.jobs[1].shapes)) if done else None)
    track(cvat)
    at_2 = {shape["id"] for shapes in seen[-8:] for shape in shapes if shape["frame"] == 2}
    assert len(at_2) == (1 if edited else 0), "made again, if only for a moment"
    assert len([shape for shape in cvat.jobs[1].shapes if shape["frame"] == 2]) == (1 if edited else 0)
    before = contents(cvat)
    track(cvat, "--state", tmp_path / "elsewhere")
    assert [one for one in contents(cvat) if one[0] == 2] == [one for one in before if one[0] == 2]
