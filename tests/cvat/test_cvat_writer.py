"""What is written comes back from the reader, and looks as CVAT's own export does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agss_model.cvat import CvatXmlWriter, Task, read_cvat_xml
from agss_model.errors import AgssError, MaskError, MediaError, OutputError
from agss_model.masks.rle import decode_cvat_mask

CONTRACT = Path(__file__).parent / "contract" / "video_1.1.xml"
TASK = Task(None, "clip", 48, 32, 10, source="clip.mp4")


def block(left, top, width=6, height=4):
    mask = np.zeros((32, 48), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def tracks_in(path):
    return list(ElementTree.parse(path).getroot().iter("track"))  # noqa: S314 - our own file


def written(path, task, labels, masks, **more):
    with CvatXmlWriter(path, task, labels) as writer:
        for (index, object_id), mask in masks.items():
            writer.put(index, object_id, mask, **more)
    (video,) = read_cvat_xml(path)
    return video


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), start=st.integers(0, 50), step=st.integers(1, 4), size=st.data())
def test_random_masks_come_back_pixel_by_pixel_with_their_objects_and_frames(tmp_path_factory, seed, start, step, size):
    width, height = size.draw(st.integers(1, 60)), size.draw(st.integers(1, 40))
    rng = np.random.default_rng(seed)
    task = Task(None, "a & b", width, height, int(rng.integers(1, 9)), start, step, 'v "1" <ü>.mp4')
    ids = rng.choice(np.arange(1, 400), int(rng.integers(1, 6)), replace=False)
    labels = {int(i): ("person", "a <b> & 'c'", "猫")[int(rng.integers(3))] for i in ids}
    masks = {}
    for index in range(task.frame_count):
        for object_id in labels:
            mask = rng.random((height, width)) < rng.random()
            if mask.any() and rng.random() < 0.7:
                masks[index, object_id] = mask
    video = written(tmp_path_factory.mktemp("xml") / "annotations.xml", task, labels, masks)
    assert (video.name, video.source, video.start_frame, video.frame_step) == (task.name, task.source, start, step)
    assert (video.width, video.height, video.frame_count) == (width, height, task.frame_count)
    assert video.problems == ()
    assert {entry.id: entry.label for entry in video.objects} == {i: labels[i] for _, i in masks}
    assert {(t, entry.id) for entry in video.objects for t in entry.appearances} == set(masks)
    for (index, object_id), mask in masks.items():
        assert np.array_equal(video.mask(object_id, index), mask)


def test_the_masks_of_a_recorded_export_are_written_as_cvat_writes_them(tmp_path):
    recorded = [track for track in tracks_in(CONTRACT) if track.find("mask") is not None]
    with CvatXmlWriter(tmp_path / "a.xml", Task(12, "harbour", 120, 80, 7), {1: "thing", 2: "thing"}) as writer:
        for track in recorded:
            shape = track[0].attrib
            left, top, width, height = (int(shape[key]) for key in ("left", "top", "width", "height"))
            points = [*map(int, shape["rle"].split(",")), left, top, left + width - 1, top + height - 1]
            writer.put(
                int(shape["frame"]), int(track.attrib["group_id"]), decode_cvat_mask(points, width=120, height=80)
            )
    ours = tracks_in(tmp_path / "a.xml")
    assert len(ours) == len(recorded) == 14
    for one, other in zip(ours, recorded, strict=True):
        assert (one.attrib["label"], one.attrib["group_id"]) == (other.attrib["label"], other.attrib["group_id"])
        group = {"group_id": one.attrib["group_id"]}  # also on the mask, where CVAT reads it
        assert [shape.attrib for shape in one] == [{**shape.attrib, **group} for shape in other]


def test_the_copy_that_ends_a_mask_is_in_the_next_frame_of_the_task_but_not_at_its_end(tmp_path):
    task = replace(TASK, start_frame=20, frame_step=3)
    written(tmp_path / "a.xml", task, {1: "cat"}, {(t, 1): block(t, 1) for t in (0, 7, 8, 9)})
    frames = [[(int(s.attrib["frame"]), s.attrib["outside"]) for s in t] for t in tracks_in(tmp_path / "a.xml")]
    assert frames == [[(20, "0"), (23, "1")], [(41, "0"), (44, "1")], [(44, "0")], [(47, "0")]]


def test_predictions_are_no_truth_when_they_are_read(tmp_path):
    video = written(tmp_path / "a.xml", TASK, {1: "cat"}, {(2, 1): block(1, 1), (3, 1): block(2, 1)}, human=False)
    assert video.frames("human") == ()
    assert video.frames("all") == (2, 3)


def test_where_masks_overlap_the_higher_one_shows_and_both_stay_whole(tmp_path):
    with CvatXmlWriter(tmp_path / "a.xml", TASK, {1: "cat", 2: "dog"}) as writer:
        writer.put(0, 1, block(2, 2), z_order=1)
        writer.put(0, 2, block(4, 2))
    (video,) = read_cvat_xml(tmp_path / "a.xml")
    assert (video.label_map(0)[block(2, 2)] == 1).all()
    assert np.array_equal(video.mask(2, 0), block(4, 2))


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        ((10, 1, block(1, 1)), MediaError, "frame 10 is outside clip, which has frames 0 to 9"),
        ((0, 2, block(1, 1)), MaskError, r"object 2 has no label; there are \[1\]"),
        ((1, 1, block(1, 1).T), MaskError, "the mask has 32x48 pixels, the frames of clip have 48x32"),
        ((1, 1, block(1, 1, 0)), MaskError, "empty mask"),
    ],
)
def test_what_cvat_could_not_hold_is_refused_and_nothing_is_left(tmp_path, call, kind, words):
    (tmp_path / "a.xml").write_text("what was there")
    index, object_id, mask = call
    with pytest.raises(kind, match=words):
        written(tmp_path / "a.xml", TASK, {1: "cat"}, {(0, 1): block(1, 1), (index, object_id): mask})
    assert [path.name for path in tmp_path.iterdir()] == ["a.xml"]
    assert (tmp_path / "a.xml").read_text() == "what was there"


@pytest.mark.parametrize(
    ("labels", "words"), [({0: "cat"}, "0 is out of range"), ({1: ""}, "no class"), ({1: "a\x00"}, "XML cannot")]
)
def test_labels_that_cannot_be_written_are_named(tmp_path, labels, words):
    with pytest.raises(AgssError, match=words):
        CvatXmlWriter(tmp_path / "a.xml", TASK, labels)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match="nowhere"), CvatXmlWriter(tmp_path / "nowhere" / "a.xml", TASK, {}):
        pass
