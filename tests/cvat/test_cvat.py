from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agss_model.cvat import Names, Task, from_cvat_api, read_cvat_xml
from agss_model.cvat.authorship import sign_track
from agss_model.errors import MaskError, MediaError
from agss_model.masks.polygons import Polygon, polygons_to_mask
from agss_model.masks.rle import decode_cvat_mask, encode_cvat_mask

CONTRACT = Path(__file__).parent / "contract"
NAMES = Names({1: "cat", 2: "cat"})


def mask_of(left, top, width=6, height=4, size=(32, 48)):
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def rle(mask):
    *runs, left, top, right, bottom = encode_cvat_mask(mask)
    size = f'left="{left}" top="{top}" width="{right - left + 1}" height="{bottom - top + 1}"'
    return f'rle="{", ".join(map(str, runs))}" {size}'


def mask_track(number, frame, mask, group="", copy_at=None, source="manual"):
    group = f' group_id="{group}"' if group else ""
    shapes = f'<mask frame="{frame}" keyframe="1" outside="0" occluded="0" {rle(mask)} z_order="0"></mask>\n'
    if copy_at is not None:
        shapes += f'<mask frame="{copy_at}" keyframe="1" outside="1" occluded="0" {rle(mask)} z_order="0"></mask>\n'
    return f'<track id="{number}" label="cat" source="{source}"{group}>\n{shapes}</track>\n'


def polygon_track(number, shapes, group=""):
    group = f' group_id="{group}"' if group else ""
    rows = "".join(
        f'<polygon frame="{frame}" keyframe="{int(key)}" outside="{int(out)}" occluded="0" points="{points}" '
        'z_order="0"></polygon>\n'
        for frame, key, out, points in shapes
    )
    return f'<track id="{number}" label="dog" source="manual"{group}>\n{rows}</track>\n'


def export(path, tracks, *, frames=10, start=0, rule="", segments=((0, 9),), version="1.1"):
    jobs = "".join(
        f"<segment><id>{n}</id><start>{a}</start><stop>{b}</stop></segment>" for n, (a, b) in enumerate(segments)
    )
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>{version}</version><meta><task>'
        f"<id>3</id><name>clip</name><size>{frames}</size><start_frame>{start}</start_frame><stop_frame>99</stop_frame>"
        f"<frame_filter>{rule}</frame_filter><segments>{jobs}</segments>"
        "<labels><label><name>cat</name></label></labels>"
        "<original_size><width>48</width><height>32</height></original_size><source>clip.mp4</source></task></meta>\n"
        f"{tracks}</annotations>"
    )
    return path


SQUARE = "2.00,2.00;12.00,2.00;12.00,12.00;2.00,12.00"


def test_the_recorded_export_gives_the_drawn_masks_pixel_for_pixel():
    video = read_cvat_xml(CONTRACT / "video_1.1.xml")[0]
    drawn = json.loads((CONTRACT / "annotations.json").read_text())
    assert [(entry.id, entry.label) for entry in video.objects] == [(1, "thing"), (2, "thing"), (3, "quay")]
    assert video.problems == ()
    for frame in range(7):
        expected = np.zeros((80, 120), np.uint8)
        if frame in (0, 4):
            keyframe = next(s for s in drawn["tracks"][0]["shapes"] if s["frame"] == frame)
            expected[polygons_to_mask([Polygon.from_flat(keyframe["points"])], width=120, height=80)] = 3
        for shape in drawn["shapes"]:
            if shape["frame"] == frame:
                expected[decode_cvat_mask(shape["points"], width=120, height=80)] = shape["group"]
        assert (video.label_map(frame) == expected).all()
        for shape in drawn["shapes"]:
            if shape["frame"] == frame:
                mask = decode_cvat_mask(shape["points"], width=120, height=80)
                assert (video.mask(shape["group"], frame) == mask).all()


def test_the_server_and_its_export_say_the_same():
    exported = read_cvat_xml(CONTRACT / "video_1.1.xml")[0]
    reply = json.loads((CONTRACT / "annotations.json").read_text())
    task = Task(12, "harbour", 120, 80, 7, source="harbour.mp4", segments=((0, 6),))
    served = from_cvat_api(reply, task, Names({21: "thing", 22: "quay"}))
    for include in ("human", "interpolated", "all"):
        assert served.frames(include) == exported.frames(include)
        for frame in range(7):
            assert served.known(frame, include) == exported.known(frame, include)
            assert (served.label_map(frame, include) == exported.label_map(frame, include)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_any_masks_survive_the_export(tmp_path_factory, seed, count):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, count + 1, (32, 48)).astype(np.uint8)
    tracks = "".join(mask_track(k, 4, labels == k, group=k) for k in range(1, count + 1) if (labels == k).any())
    video = read_cvat_xml(export(tmp_path_factory.mktemp("xml") / "a.xml", tracks))[0]
    assert (video.label_map(4) == labels).all()


def test_frames_are_those_of_the_task(tmp_path):
    tracks = mask_track(0, 26, mask_of(1, 1), group=1, copy_at=29) + mask_track(1, 29, mask_of(2, 1), group=1)
    video = read_cvat_xml(export(tmp_path / "a.xml", tracks, start=20, rule="step=3"))[0]
    assert video.frames() == (2, 3)
    assert [video.source_frame(index) for index in video.frames()] == [26, 29]
    bad = export(tmp_path / "b.xml", mask_track(0, 27, mask_of(1, 1), group=1), start=20, rule="step=3")
    with pytest.raises(MediaError, match=r"b\.xml, line 4: track 0 \(cat\), <mask> of frame 27: frame 27 is none"):
        read_cvat_xml(bad)


def test_interpolated_polygons_count_only_when_asked_for(tmp_path):
    shapes = [(0, True, False, SQUARE), (1, False, False, SQUARE), (2, True, False, SQUARE), (3, True, True, SQUARE)]
    video = read_cvat_xml(export(tmp_path / "a.xml", polygon_track(0, shapes)))[0]
    assert video.frames("human") == (0, 2, 3)
    assert video.frames("interpolated") == (0, 1, 2, 3)
    assert not video.label_map(1).any()
    assert video.label_map(1, "interpolated").sum() == 100
    assert video.known(3) == (1,)
    assert not video.label_map(3).any()


@pytest.mark.parametrize(("corners", "filled"), [([1, 1, 9, 1, 9, 9, 1, 9], True), ([1, 1, 9, 1, 9, 1.5, 9, 9], False)])
def test_frames_between_keyframes_are_filled_only_where_cvat_moves_each_point_to_its_like(corners, filled):
    shapes = [
        {"type": "polygon", "frame": frame, "points": points, "outside": False, "z_order": 0, "attributes": []}
        for frame, points in ((0, [0, 0, 8, 0, 8, 8, 0, 8]), (2, corners), (3, corners))
    ]
    track = {"id": 1, "label_id": 1, "frame": 0, "group": 0, "source": "manual", "shapes": shapes, "attributes": []}
    video = from_cvat_api({"shapes": [], "tracks": [track]}, Task(1, "clip", 48, 32, 4), NAMES)
    assert video.frames("interpolated") == ((0, 1, 2, 3) if filled else (0, 2, 3))
    assert bool([p for p in video.problems if "cannot be paired" in p.text]) is not filled


def test_predictions_nobody_touched_are_no_truth(tmp_path):
    tracks = mask_track(0, 0, mask_of(1, 1), group=1) + mask_track(1, 1, mask_of(2, 1), group=1, source="auto")
    video = read_cvat_xml(export(tmp_path / "a.xml", tracks))[0]
    assert video.frames() == (0,)
    assert video.frames("all") == (0, 1)


def test_parts_in_one_group_are_one_object(tmp_path):
    tracks = mask_track(0, 0, mask_of(1, 1), group=7) + mask_track(1, 0, mask_of(20, 1), group=7)
    video = read_cvat_xml(export(tmp_path / "a.xml", tracks))[0]
    assert [entry.id for entry in video.objects] == [7]
    assert (video.label_map(0) == 7).sum() == 48


def test_shapes_without_a_group_are_joined_by_overlap_and_reported(tmp_path):
    tracks = "".join(mask_track(f, f, mask_of(1 + f, 1), copy_at=f + 1) for f in range(3))
    tracks += mask_track(9, 1, mask_of(30, 20), copy_at=2)
    video = read_cvat_xml(export(tmp_path / "a.xml", tracks))[0]
    assert [sorted(entry.appearances) for entry in video.objects] == [[0, 1, 2], [1]]
    assert [problem.kind for problem in video.problems] == ["identity", "identity"]
    assert "object 1 (cat, frames 0 to 2) has no group" in video.problems[0].text
    assert "stands alone" in video.problems[1].text


def test_groups_of_two_jobs_are_one_object_only_where_they_overlap(tmp_path):
    near = mask_track(0, 4, mask_of(1, 1), group=1) + mask_track(1, 5, mask_of(2, 1), group=1)
    far = mask_track(2, 4, mask_of(1, 20), group=2) + mask_track(3, 5, mask_of(40, 20), group=2)
    video = read_cvat_xml(export(tmp_path / "a.xml", near + far, segments=((0, 4), (5, 9))))[0]
    assert [sorted(entry.appearances) for entry in video.objects] == [[4, 5], [4], [5]]
    assert sorted(problem.text.split()[0] for problem in video.problems) == ["cat", "group"]


def test_a_track_cut_at_a_job_border_is_joined(tmp_path):
    one = [(3, True, False, SQUARE), (4, True, False, SQUARE), (5, True, True, SQUARE)]
    two = [(5, True, False, SQUARE), (6, True, False, SQUARE)]
    tracks = polygon_track(0, one, group=4) + polygon_track(1, two, group=4)
    video = read_cvat_xml(export(tmp_path / "a.xml", tracks, segments=((0, 4), (5, 9))))[0]
    assert [entry.id for entry in video.objects] == [4]
    assert {i: a.outside for i, a in video.objects[0].appearances.items()} == dict.fromkeys((3, 4, 5, 6), False)


def test_masks_of_a_shared_frame_are_read_once_and_conflicts_are_reported():
    def read(*masks):
        common = {"type": "mask", "frame": 5, "label_id": 1, "group": 1}
        shapes = [common | {"id": n, "points": encode_cvat_mask(mask)} for n, mask in enumerate(masks)]
        task = Task(1, "clip", 48, 32, 10, segments=((0, 5), (5, 9)))
        return from_cvat_api({"shapes": shapes, "tracks": []}, task, NAMES)

    same = read(mask_of(1, 1), mask_of(1, 1))
    assert [problem.kind for problem in same.problems] == ["repeated"]
    other = read(mask_of(1, 1), mask_of(2, 1))
    assert [problem.kind for problem in other.problems] == ["conflict"]
    assert (other.label_map(5) == mask_of(1, 1)).all()


def test_shapes_on_deleted_frames_are_left_out():
    shapes = [
        {"id": f, "type": "mask", "frame": f, "label_id": 1, "group": 1, "points": encode_cvat_mask(mask_of(1, 1))}
        for f in range(3)
    ]
    video = from_cvat_api({"shapes": shapes, "tracks": []}, Task(1, "clip", 48, 32, 10), NAMES, deleted=[1])
    assert video.frames() == (0, 2)
    assert [problem.kind for problem in video.problems] == ["deleted"]


DAMAGE = {
    "runs that do not fill their box": (lambda t: t.replace('rle="0, 24"', 'rle="0, 23"'), "runs cover 23 pixels"),
    "one huge run": (lambda t: t.replace('rle="0, 24"', 'rle="0, 9000000000000"'), "runs cover 9000000000000 pixels"),
    "negative run": (lambda t: t.replace('rle="0, 24"', 'rle="-1, 25"'), "negative"),
    "a box outside the image": (lambda t: t.replace('left="1"', 'left="44"'), "not inside the 48x32 image"),
    "no number": (lambda t: t.replace('left="1"', 'left="x"'), "left is 'x'"),
    "no runs": (lambda t: t.replace('rle="0, 24" ', ""), "at least 5 numbers"),
    "no label": (lambda t: t.replace('label="cat"', ""), "track 0 has no label"),
    "cut short": (lambda t: t[: t.index("</track>")], "ends too early"),
    "no size": (lambda t: t.replace("<size>10</size>", ""), "size of task 'clip' is missing"),
    "another version": (lambda t: t.replace(">1.1<", ">2.0<"), "version '2.0'"),
    "entities": (
        lambda t: t.replace("<annotations>", '<!DOCTYPE a [<!ENTITY x "boom">]><annotations>'),
        "declares a document type",
    ),
    "something else": (lambda t: "<html></html>", "begins with <html>"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_file_and_line(tmp_path, name):
    path = export(tmp_path / "a.xml", mask_track(0, 0, mask_of(1, 1), group=1))
    change, message = DAMAGE[name]
    path.write_text(change(path.read_text()))
    with pytest.raises(MediaError, match=message) as caught:
        read_cvat_xml(path)
    assert f"{path}, line" in str(caught.value)


def test_a_missing_file_is_explained(tmp_path):
    with pytest.raises(MediaError, match="cannot read"):
        read_cvat_xml(tmp_path / "none.xml")


def test_background_only_masks_and_boxes_are_reported(tmp_path):
    empty = (
        '<track id="5" label="cat" source="manual"><mask frame="0" keyframe="1" outside="0" rle="4" left="0" top="0" '
        'width="2" height="2" z_order="0"/>'
        '<box frame="1" keyframe="1" outside="0" xtl="0" ytl="0" xbr="3" ybr="3"/></track>'
    )
    video = read_cvat_xml(export(tmp_path / "a.xml", empty))[0]
    assert video.objects == ()
    assert [problem.kind for problem in video.problems] == ["empty mask", "ignored"]


def test_a_reply_of_something_else_is_named():
    task = Task(1, "clip", 48, 32, 10)
    with pytest.raises(MediaError, match="no list of shapes"):
        from_cvat_api({"shapes": 3}, task, Names())
    shape = {"id": 8, "type": "mask", "frame": 0, "label_id": 2, "points": [0, 24, 1, 1, 6, 4]}
    with pytest.raises(MediaError, match="shape 8 of task 'clip' has label_id 2"):
        from_cvat_api({"shapes": [shape]}, task, Names({1: "cat"}))
    with pytest.raises(MediaError, match="frame 12; the task has frames 0 to 9"):
        from_cvat_api({"shapes": [shape | {"frame": 12}]}, task, Names({2: "cat"}))
    with pytest.raises(MediaError, match="shape 8 of task 'clip', frame 0: the mask's runs"):
        from_cvat_api({"shapes": [shape | {"points": [0, 25, 1, 1, 6, 4]}]}, task, Names({2: "cat"}))


def test_a_frame_that_is_not_the_videos_is_refused(tmp_path):
    video = read_cvat_xml(export(tmp_path / "a.xml", mask_track(0, 0, mask_of(1, 1), group=1)))[0]
    with pytest.raises(MediaError, match="outside clip"):
        video.label_map(10)
    with pytest.raises(MaskError, match="no object 4"):
        video.mask(4, 0)


@pytest.mark.parametrize("encoding", ["utf-7", "no-such", "idna"])
def test_encodings_that_no_export_has_are_named(tmp_path, encoding):
    path = export(tmp_path / "a.xml", "")
    path.write_text(path.read_text().replace('encoding="utf-8"', f'encoding="{encoding}"'))
    with pytest.raises(MediaError, match=r"a\.xml, line"):
        read_cvat_xml(path)


def test_in_an_export_signatures_tell_which_keyframes_of_a_track_people_made(tmp_path):
    """A track of ours whose second of three keyframes a person corrected; CVAT changed its source."""
    square = np.array([2, 2, 12, 2, 12, 12, 2, 12], float)
    shapes = [
        {"frame": frame, "type": "polygon", "points": (square + frame).tolist(), "outside": False, "z_order": 0}
        for frame in (1, 3, 5)
    ]
    track = sign_track({"label_id": "dog", "group": 4, "source": "auto", "frame": 1, "shapes": shapes}, Names())
    track["shapes"][1]["points"] = (square + 9).tolist()
    rows = [
        (shape["frame"], True, False, ";".join(f"{x:.2f},{y:.2f}" for x, y in np.reshape(shape["points"], (-1, 2))))
        for shape in track["shapes"]
    ]
    rows.insert(1, (2, False, False, rows[0][3]))
    path = export(tmp_path / "a.xml", polygon_track(0, rows, group=4).replace('"manual"', '"semi-auto"'))
    video = read_cvat_xml(path)[0]
    assert video.frames("human") == (3,)
    assert video.frames("interpolated") == (3,)
    assert set(video.frames("all")) >= {1, 2, 3, 5}


@pytest.mark.parametrize(
    "start",
    [
        "<annotations><meta a='", "<annotations><!--", "<annotations><?a ", "<annotations><", "<annotations>",
        "<annotations><version>1.1</version><meta><task><name>", "<annotations><meta><task><name><![CDATA[",
    ],
)  # fmt: skip
def test_no_element_takes_gigabytes(tmp_path, start):
    """A ZIP of 4 MB can hold 4 GiB of one attribute, which a parser keeps as a whole."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("annotations.xml", start.encode() + b"a" * (40 << 20))
    with pytest.raises(MediaError, match=r"line 1:? .*more than 32 MiB|ends too early"):
        read_cvat_xml(tmp_path / "a.zip")
