"""What people bring: read as it was drawn, or refused with a sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from stand_ins import masked_clip

from agss_model.errors import AgssError, MaskError, MediaError
from agss_model.formats.reading import read_drawn
from agss_model.formats.registry import export
from agss_model.masks import encode_coco_rle, object_ids
from agss_model.runs.given.keyframes import read_keyframes

SIZE = (40, 30)
LABELS = {1: "person", 2: "dog"}


class Clip:
    name, size, fps = "clip", SIZE, 25.0

    def __len__(self):
        return 6

    def read(self, index):
        image = np.full((*SIZE[::-1], 3), 30, np.uint8)
        image[8:20, 10:25] = (200, 60, 20)
        return image


def by_number(path):
    return int(path.stem) if path.stem.isdecimal() else None


def drawn_map(shift):
    label_map = np.zeros(SIZE[::-1], np.uint8)
    label_map[3 + shift : 12, 4:15] = 1
    label_map[15:25, 20 : 31 + shift] = 2
    label_map[0, 39] = 1
    return label_map


def tracked(maps):
    return masked_clip(maps, LABELS, human=range(len(maps)))


@pytest.mark.parametrize(
    ("name", "place"), [("coco", "annotations.json"), ("labelme", ""), ("cvat-video", "annotations.xml")]
)
def test_what_is_exported_comes_back_as_keyframes(tmp_path, name, place):
    maps = [drawn_map(shift) for shift in range(3)]
    export(tracked(maps), name, tmp_path / "out")
    keyframes = read_keyframes(tmp_path / "out" / place, Clip())
    assert keyframes.ids == (1, 2)
    assert keyframes.labels == LABELS
    assert sorted(keyframes.label_maps) == [0, 1, 2]
    for number, label_map in enumerate(maps):
        assert np.array_equal(keyframes.label_maps[number], label_map)


def test_yolo_outlines_and_boxes_of_one_frame(tmp_path):
    export(tracked([drawn_map(0)]), "yolo", tmp_path / "out")
    found = read_keyframes(tmp_path / "out" / "labels" / "00000.txt", Clip()).label_maps[0]
    assert np.array_equal(found > 0, drawn_map(0) > 0)
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "00003.txt").write_text("0 0.4375 0.4667 0.375 0.4\n")
    (tmp_path / "box" / "classes.txt").write_text("kite\n")
    keyframes = read_keyframes(tmp_path / "box", Clip())
    assert keyframes.labels == {1: "kite"}
    assert keyframes.label_maps[3][8:20, 10:25].mean() > 0.9
    assert keyframes.label_maps[3].sum() <= 12 * 15
    assert "boxes" in keyframes.doubtful[0]


def coco(**more):
    entry = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 8, 15, 12], "segmentation": []} | more
    return {
        "images": [{"id": 7, "file_name": "00002.jpg"}],
        "categories": [{"id": 1, "name": "kite"}],
        "annotations": [entry],
    }


def read(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_drawn(path, Clip(), by_number)


@pytest.mark.parametrize(
    "segmentation",
    [
        [[10, 8, 25, 8, 25, 20, 10, 20]],
        {"size": [30, 40], "counts": [10 * 30 + 8, *[12, 18] * 14, 12, 14 * 30 + 28 - 18]},
        [],
    ],
)
def test_coco_takes_polygons_run_lengths_and_boxes(tmp_path, segmentation):
    if isinstance(segmentation, dict):
        segmentation["counts"][-1] = 1200 - sum(segmentation["counts"][:-1])
    drawn = read(tmp_path, coco(segmentation=segmentation))
    assert list(drawn.label_maps) == [2]
    assert drawn.label_maps[2][8:20, 10:25].mean() > 0.9
    assert drawn.labels == {1: "kite"}


@pytest.mark.parametrize("where", [{"track_id": 9}, {"instance_id": 9}, {"attributes": {"track_id": 9}}])
def test_coco_ids_are_found(tmp_path, where):
    assert object_ids(read(tmp_path, coco(**where)).label_maps[2]) == (9,)


def test_frames_without_ids_are_refused_where_there_are_several(tmp_path):
    content = coco()
    content["images"].append({"id": 8, "file_name": "00003.jpg"})
    content["annotations"].append(content["annotations"][0] | {"id": 2, "image_id": 8})
    with pytest.raises(MaskError, match="which of its objects is which"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", '{"annotations": 3, "images": []}', "[" * 100_000, '{"annotations": [1], "images": []}',
        json.dumps(coco(bbox=[0, 0, 0, 0])), json.dumps(coco(bbox=[1e400, 0, 1, 1])), json.dumps(coco(bbox=["x"])),
        json.dumps(coco(segmentation={"size": [2, 2], "counts": [4]})), json.dumps(coco(track_id=0)),
        json.dumps(coco(track_id=1e300)), json.dumps(coco(image_id=99)), json.dumps(coco(segmentation=[[1, 2]])),
        json.dumps({"shapes": [{"shape_type": "mask", "mask": "eHh4", "points": [[0, 0], [1, 1]], "label": "a"}]}),
        json.dumps({"shapes": [{"shape_type": "point", "points": [[0, 0]], "label": "a"}]}),
        json.dumps({"shapes": []}), '{"absent": [1]}',
    ],
)  # fmt: skip
def test_malformed_files_are_refused_with_a_sentence(tmp_path, content):
    with pytest.raises(AgssError) as caught:
        read(tmp_path, content)
    assert str(caught.value)


def test_frames_and_sizes_of_another_clip_are_refused(tmp_path):
    content = coco()
    content["images"][0]["file_name"] = "00099.jpg"
    with pytest.raises(MediaError, match="frame 99"):
        read(tmp_path, content)
    export(tracked([drawn_map(0)]), "cvat-video", tmp_path / "out")
    small = Clip()
    small.size = (20, 20)
    with pytest.raises(MaskError, match="40x30"):
        read_drawn(tmp_path / "out" / "annotations.xml", small, by_number)


def test_datumaro_is_read_with_masks_polygons_boxes_and_ids(tmp_path):
    truth = {1: np.zeros(SIZE[::-1], bool), 2: np.zeros(SIZE[::-1], bool)}
    truth[1][2:9, 3:12] = True
    truth[2][12:18, 20:26] = True
    counts = encode_coco_rle(truth[1])
    ring = [20, 12, 26, 12, 26, 18, 20, 18]
    items = [
        {
            "id": "frame_000002",
            "attr": {"frame": 2},
            "annotations": [
                {"type": "mask", "label_id": 1, "attributes": {"track_id": 5}, "group": 0, "rle": counts, "z_order": 0},
                {"type": "polygon", "label_id": 0, "attributes": {}, "group": 6, "points": ring, "z_order": 1},
                {"type": "points", "label_id": 0, "points": [1, 1]},
            ],
        },
        {"id": "frame_000003", "annotations": []},
    ]
    labels = {"label": {"labels": [{"name": "car"}, {"name": "person"}]}}
    (tmp_path / "datumaro.json").write_text(json.dumps({"info": {}, "categories": labels, "items": items}))
    keyframes = read_keyframes(tmp_path / "datumaro.json", Clip())
    [(number, label_map)] = keyframes.label_maps.items()
    assert number == 2
    assert keyframes.labels == {5: "person", 6: "car"}
    assert np.array_equal(label_map == 5, truth[1])
    assert np.array_equal(label_map == 6, truth[2])


@pytest.mark.parametrize("box_first", [True, False])
def test_a_box_beside_the_mask_of_its_object_is_passed_over(tmp_path, box_first):
    """Datumaro writes both for each object of COCO."""
    mask = np.zeros(SIZE[::-1], bool)
    mask[2:9, 3:12] = True
    mask[4, 5] = False
    entries = [
        {"type": "mask", "label_id": 0, "attributes": {"track_id": 5}, "group": 3, "rle": encode_coco_rle(mask)},
        {"type": "bbox", "label_id": 0, "attributes": {"track_id": 5}, "group": 3, "bbox": [3, 2, 9, 7]},
    ]
    items = [{"id": "000002", "annotations": entries[::-1] if box_first else entries}]
    labels = {"label": {"labels": [{"name": "car"}]}}
    (tmp_path / "it.json").write_text(json.dumps({"info": {}, "categories": labels, "items": items}))
    keyframes = read_keyframes(tmp_path / "it.json", Clip())
    assert np.array_equal(keyframes.label_maps[2] == 5, mask)
    assert not keyframes.doubtful


def test_the_instances_are_found_among_other_tasks_of_coco_and_yolo_in_its_older_folders(tmp_path):
    export(tracked([drawn_map(0)]), "coco", tmp_path / "coco")
    folder = tmp_path / "export" / "annotations"
    folder.mkdir(parents=True)
    (tmp_path / "coco" / "annotations.json").rename(folder / "instances_all.json")
    (folder / "captions_all.json").write_text("{}")
    assert read_keyframes(tmp_path / "export", Clip()).ids == (1, 2)
    old = tmp_path / "yolo"
    (old / "obj_train_data").mkdir(parents=True)
    (old / "obj.names").write_text("car\ndog\n")
    (old / "train.txt").write_text("data/obj_train_data/00000.png\n")
    (old / "obj_train_data" / "00000.txt").write_text("1 0.1 0.1 0.5 0.1 0.5 0.5\n")
    assert read_keyframes(old, Clip()).labels == {1: "dog"}
