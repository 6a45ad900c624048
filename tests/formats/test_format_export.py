"""Each format is read back by its own reader, pixel for pixel where it promises that."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from format_readers import READERS, alpha
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools.coco import COCO
from stand_ins import masked_clip

from agss_model.cvat import read_cvat_xml
from agss_model.errors import AgssError, OutputError
from agss_model.evaluation import open_dataset
from agss_model.files import held, unfinished
from agss_model.formats.clip import FrameMasks
from agss_model.formats.names import read_names
from agss_model.formats.registry import FORMATS, add, export
from agss_model.masks import object_ids, polygons_to_mask
from agss_model.masks.polygons import Polygon
from agss_model.video import open_source

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
    return maps, masked_clip(maps, LABELS | {300: "object"}, source=source, first=first, human=[first])


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(maps=MAPS)
def test_masks_come_back_exactly(tmp_path_factory, name, maps):
    maps, given_out = tracked(maps)
    out = tmp_path_factory.mktemp("out") / "x"
    export(given_out, name, out)
    found = dict(READERS[name](out, (WIDTH, HEIGHT)))
    shown = [number for number, label_map in enumerate(maps) if name != "cvat-video" or label_map.any()]
    assert list(found) == shown
    assert all(np.array_equal(found[number], maps[number]) for number in shown)


def test_classes_travel_into_coco(tmp_path):
    _, given_out = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)] * 2)
    export(given_out, "coco", tmp_path / "out")
    data = COCO(str(tmp_path / "out" / "annotations.json"))
    found = {one["track_id"]: data.loadCats([one["category_id"]])[0]["name"] for one in data.loadAnns(data.getAnnIds())}
    assert found == LABELS | {300: "object"}


def test_davis_keeps_the_pictures_and_comes_back_through_our_reader(tmp_path):
    maps, given_out = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)] * 3, Pictures(3))
    export(given_out, "davis", tmp_path / "out")
    (sequence,) = open_dataset(tmp_path / "out", "davis")
    assert all(np.array_equal(sequence.truth(number), label_map) for number, label_map in enumerate(maps))
    assert [path.name for path in sequence.frames] == ["00000.jpg", "00001.jpg", "00002.jpg"]


def test_the_description_of_yolo_finds_its_images_from_anywhere(tmp_path):
    export(tracked([np.zeros((HEIGHT, WIDTH), np.uint16)])[1], "yolo", tmp_path / "out")
    assert "path:" not in (tmp_path / "out" / "data.yaml").read_text()  # which Ultralytics takes from where it runs


@pytest.mark.parametrize("name", FORMATS)
def test_several_clips_go_into_one_folder_one_after_the_other(tmp_path, name):
    _, first = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)] * 2, Pictures(2))
    second = replace(first, name="other", labels=first.labels | {2: "dog"})
    for clip in (first, second):
        add(clip, name, tmp_path / "out")
    with pytest.raises(OutputError, match="clip exists already"):
        add(first, name, tmp_path / "out")
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]
    if name == "youtube-vos":
        meta = json.loads((tmp_path / "out" / "meta.json").read_text())["videos"]
        assert {clip: about["objects"]["2"]["category"] for clip, about in meta.items()} == {
            "clip": LABELS[2],
            "other": "dog",
        }
    if name == "davis":
        assert (tmp_path / "out" / "ImageSets" / "2017" / "train.txt").read_text() == "clip\nother\n"
        assert read_names(tmp_path / "out")["other"][2].label == "dog"
    if FORMATS[name].shared:
        assert [sequence.name for sequence in open_dataset(tmp_path / "out", name)] == ["clip", "other"]


def test_where_objects_overlap_each_keeps_its_pixels_or_the_smallest_shows(tmp_path):
    _, clip = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)])
    large, small = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    large[2:10, 2:10], small[4:6, 4:6] = True, True
    clip = replace(clip, each=lambda: [FrameMasks(0, {1: small, 2: large})], count=1, part=range(1), frames=[0])
    for name in ("coco", "davis", "cvat-video"):
        export(clip, name, tmp_path / name)
    data = COCO(str(tmp_path / "coco" / "annotations.json"))
    masks = {one["track_id"]: data.annToMask(one).astype(bool) for one in data.loadAnns(data.getAnnIds())}
    assert np.array_equal(masks[2], large)
    for name in ("davis", "cvat-video"):
        ((_, label_map),) = READERS[name](tmp_path / name, clip.size)
        assert np.array_equal(label_map == 1, small)
        assert np.array_equal(label_map == 2, large & ~small)


def test_pictures_that_any_program_shows_alike_are_copied_and_others_written_anew(tmp_path):
    rng = np.random.default_rng(0)
    upright, turned = (rng.integers(0, 255, shape, np.uint8) for shape in ((HEIGHT, WIDTH, 3), (WIDTH, HEIGHT, 3)))
    (tmp_path / "in").mkdir()
    Image.fromarray(upright).save(tmp_path / "in" / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a right angle
    Image.fromarray(turned).save(tmp_path / "in" / "b.jpg", exif=exif)
    Image.fromarray(upright).save(tmp_path / "in" / "c.tiff")
    Image.fromarray(upright.astype(np.uint16)[..., 0] * 256).save(tmp_path / "in" / "d.png")
    source = open_source(tmp_path / "in")
    _, clip = tracked([np.eye(HEIGHT, WIDTH, dtype=np.uint16)] * 4, source)
    export(clip, "coco", tmp_path / "out")
    images = json.loads((tmp_path / "out" / "annotations.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["00000.png", "00001.png", "00002.png", "00003.png"]
    written = tmp_path / "out" / "images"
    assert (written / "00000.png").read_bytes() == (tmp_path / "in" / "a.png").read_bytes()
    for number, image in enumerate(images):
        picture = np.array(Image.open(written / image["file_name"]).convert("RGB"))
        assert np.array_equal(picture, source.read(number))


@pytest.mark.parametrize("name", ["davis", "youtube-vos"])
def test_an_id_that_means_something_else_is_refused(tmp_path, name):
    clip = masked_clip([np.full((HEIGHT, WIDTH), 255, np.uint8)], {255: "x"})
    with pytest.raises(AgssError, match=f"object 255 cannot go into {name}, .*another id"):
        export(clip, name, tmp_path / "out")
    assert not list(tmp_path.iterdir())


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
    frames = alpha(tmp_path / "out" / "clip.mov")
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
    mine = {".out.part", "out.lock"}
    for name in mine:
        (tmp_path / name).write_text("mine")
    (tmp_path / f".out.{'0' * 16}.part").mkdir()
    (tmp_path / f".out.{'0' * 16}.part" / "annotations.json").write_text("{")
    (tmp_path / ".out.lock").write_text("")
    with held(tmp_path / ".out.lock", tmp_path / "out"), pytest.raises(OutputError, match=r"out is being written by"):
        export(given_out, "coco", tmp_path / "out")
    with unfinished(tmp_path / "other", folder=True) as living:
        export(given_out, "coco", tmp_path / "out")
        assert {path.name for path in tmp_path.iterdir()} == {*mine, "out", living.name}
