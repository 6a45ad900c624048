"""Each format is read back by its own reader, pixel for pixel where it promises that."""

from __future__ import annotations

import base64
import io
import json

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from agss_model.cvat import read_cvat_xml
from agss_model.errors import AgssError, OutputError
from agss_model.evaluation import open_dataset
from agss_model.files import held
from agss_model.formats.registry import FORMATS, export
from agss_model.formats.tracked import Tracked
from agss_model.masks import object_ids, polygons_to_mask
from agss_model.masks.polygons import Polygon
from agss_model.runs.scores import Row

HEIGHT, WIDTH = 12, 17
MAPS = st.lists(
    hnp.arrays(np.uint16, (HEIGHT, WIDTH), elements=st.sampled_from([0, 0, 1, 2, 300])), min_size=2, max_size=4
)
LABELS = {1: "person", 2: 'a "dog" & <cat>'}


class Pictures:
    """A clip of noise."""

    name, size, fps = "clip", (WIDTH, HEIGHT), 10.0

    def __init__(self, count):
        self.pictures = np.random.default_rng(0).integers(0, 255, (count, HEIGHT, WIDTH, 3), np.uint8)

    def frames(self, start=0, stop=None, step=1):
        return iter(self.pictures[start:stop:step])


def tracked(maps, source=None, first=0):
    maps = [np.array(one) for one in maps]
    maps[0][0, :3] = (1, 2, 300)
    rows = {(first, i): Row(first, i, 1.0, False, (), True, 1) for i in (1, 2, 300)}
    frames = range(first, first + len(maps))
    read = lambda number: maps[number - first]  # noqa: E731
    return maps, Tracked("clip", (WIDTH, HEIGHT), frames, (1, 2, 300), read, rows, LABELS, source=source)


def put_together(pairs):
    label_map = np.zeros((HEIGHT, WIDTH), np.uint16)
    for object_id, mask in pairs:
        label_map[mask.astype(bool)] = object_id
    return label_map


def read_coco(out, count):
    data = COCO(str(out / "annotations.json"))
    for image in sorted(data.getImgIds()):
        found = data.loadAnns(data.getAnnIds(imgIds=[image]))
        classes = {one["track_id"]: data.loadCats([one["category_id"]])[0]["name"] for one in found}
        assert all(name == LABELS.get(object_id, "object") for object_id, name in classes.items())
        yield put_together((one["track_id"], data.annToMask(one)) for one in found)


def read_coco_video(out, count):
    data = json.loads((out / "annotations.json").read_text())
    assert data["videos"][0]["length"] == count
    for place in range(count):
        shown = ((one["id"], one["segmentations"][place]) for one in data["annotations"])
        yield put_together((object_id, coco_mask.decode(rle)) for object_id, rle in shown if rle is not None)


def read_rle_json(out, count):
    data = json.loads((out / "masks.json").read_text())
    for number in sorted(map(int, data["frames"])):
        yield put_together((int(i), coco_mask.decode(rle)) for i, rle in data["frames"][str(number)].items())


def read_davis(out, count):
    (sequence,) = open_dataset(out, "davis", None)
    return (sequence.truth_and_void(number)[0] for number in range(count))


def read_youtube_vos(out, count):
    meta = json.loads((out / "meta.json").read_text())["videos"]["clip"]["objects"]
    assert meta["1"]["category"] == "person"
    paths = sorted((out / "Annotations" / "clip").iterdir())
    for path in paths:
        label_map = np.array(Image.open(path))
        shown = object_ids(label_map.astype(np.uint16))
        assert all((path.stem in meta[str(i)]["frames"]) == (i in shown) for i in (1, 2, 300))
        yield label_map


def read_labelme(out, count):
    for path in sorted(out.glob("*.json")):
        data = json.loads(path.read_text())
        label_map = np.zeros((data["imageHeight"], data["imageWidth"]), np.uint16)
        for shape in data["shapes"]:
            (left, top), (right, bottom) = shape["points"]
            mask = np.array(Image.open(io.BytesIO(base64.b64decode(shape["mask"])))).astype(bool)
            label_map[top : bottom + 1, left : right + 1][mask] = shape["group_id"]
        yield label_map


READERS = {
    "coco": read_coco, "coco-video": read_coco_video, "rle-json": read_rle_json, "youtube-vos": read_youtube_vos,
    "labelme": read_labelme,
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(maps=MAPS)
def test_masks_come_back_exactly(tmp_path_factory, name, maps):
    maps, given_out = tracked(maps)
    out = tmp_path_factory.mktemp("out") / "x"
    export(given_out, name, out)
    found = list(READERS[name](out, len(maps)))
    assert len(found) == len(maps)
    for one, two in zip(found, maps, strict=True):
        assert np.array_equal(one, two)


def test_davis_comes_back_through_its_reader_and_keeps_the_pictures(tmp_path):
    maps, given_out = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)] * 3, Pictures(3))
    export(given_out, "davis", tmp_path / "out")
    for one, two in zip(read_davis(tmp_path / "out", 3), maps, strict=True):
        assert np.array_equal(one, two)
    assert len(list((tmp_path / "out" / "JPEGImages" / "480p" / "clip").iterdir())) == 3


@pytest.mark.parametrize("first", [0, 4])
def test_cvat_comes_back_with_groups_classes_and_authorship(tmp_path, first):
    maps, given_out = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)] * 2, first=first)
    export(given_out, "cvat-video", tmp_path / "out")
    (video,) = read_cvat_xml(tmp_path / "out" / "annotations.xml")
    for number, label_map in enumerate(maps, first):
        for object_id in object_ids(label_map):
            assert np.array_equal(video.mask(object_id, number, "all"), label_map == object_id)
    text = (tmp_path / "out" / "annotations.xml").read_text()
    assert 'label="person"' in text
    assert text.count("<track id") == 4  # every mask is a track of its own
    assert text.count('source="manual"') == 3


@settings(max_examples=20, deadline=None)
@given(maps=MAPS)
def test_yolo_outlines_are_exact_but_for_holes_and_ids(tmp_path_factory, maps):
    maps, given_out = tracked(maps)
    out = tmp_path_factory.mktemp("out") / "x"
    export(given_out, "yolo", out)
    for number, label_map in enumerate(maps):
        found = {}
        for line in (out / "labels" / f"{number:05d}.txt").read_text().splitlines():
            kind, *points = line.split()
            ring = (np.array(points, float).reshape(-1, 2) * (WIDTH, HEIGHT)).round(4)
            found.setdefault(int(kind), []).append(Polygon(ring))
        for kind, ids in ((0, [1]), (1, [2]), (2, [300])):
            drawn = np.isin(label_map, ids)
            outline = polygons_to_mask(found.get(kind, []), width=WIDTH, height=HEIGHT)
            assert (outline | ~drawn).all()  # nothing of the object is lost
            contours, _ = cv2.findContours(drawn.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            assert bool(contours) == bool(found.get(kind))


def test_the_video_of_the_objects_is_exact_and_transparent(tmp_path):
    source = Pictures(3)
    maps, given_out = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)] * 3, source)
    export(given_out, "alpha-video", tmp_path / "out")
    with av.open(str(tmp_path / "out" / "clip.mov")) as container:
        frames = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
    assert len(frames) == 3
    for frame, label_map, picture in zip(frames, maps, source.pictures, strict=True):
        assert np.array_equal(frame[..., 3] > 0, label_map > 0)
        assert np.array_equal(frame[label_map > 0][:, :3], picture[label_map > 0])


def test_an_export_replaces_nothing_and_leaves_nothing_half_done(tmp_path):
    _, given_out = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)] * 2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for name in FORMATS:
        with pytest.raises(OutputError, match="exists"):
            export(given_out, name, tmp_path / "mine")
    with pytest.raises(AgssError, match="--source"):
        export(given_out, "alpha-video", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_a_killed_export_left_goes_with_the_next_one_and_a_living_one_is_left_alone(tmp_path):
    _, given_out = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)] * 2)
    mine = {".out.part", f".other.{'0' * 16}.part", "out.lock"}
    for name in mine:
        (tmp_path / name).write_text("mine")
    (tmp_path / f".out.{'0' * 16}.part").mkdir()
    (tmp_path / f".out.{'0' * 16}.part" / "annotations.json").write_text("{")
    (tmp_path / ".out.lock").write_text("")
    with held(tmp_path / ".out.lock", tmp_path / "out"), pytest.raises(OutputError, match=r"out is being written by"):
        export(given_out, "coco", tmp_path / "out")
    assert (tmp_path / f".out.{'0' * 16}.part").exists()
    export(given_out, "coco", tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {*mine, "out"}
