"""Annotations of many objects in many frames: one mask is expanded at a time, and frames are kept small."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from agss_model.errors import MaskError
from agss_model.masks.rle import encode_coco_rle
from agss_model.runs.given.keyframes import read_keyframes

SIZE = WIDTH, HEIGHT = 640, 360
FRAMES, OBJECTS = 40, 10
MIB = 1 << 20


class Clip:
    name, size, fps = "clip", SIZE, 25.0

    def __len__(self):
        return FRAMES


def box(frame, place):
    return 10 * place, 30 * place + frame % 5, 200, 20  # left, top, width, height


def mask(frame, place):
    left, top, width, height = box(frame, place)
    found = np.zeros((HEIGHT, WIDTH), bool)
    found[top : top + height, left : left + width] = True
    return found


def coco(drawn):
    images = [{"id": n, "file_name": f"{n:05d}.png", "width": WIDTH, "height": HEIGHT} for n in range(FRAMES)]
    entries = [
        {"id": n * OBJECTS + k + 1, "image_id": n, "category_id": 1, "track_id": k + 1, "bbox": box(n, k),
         "segmentation": drawn(n, k)}
        for n in range(FRAMES) for k in range(OBJECTS)
    ]  # fmt: skip
    return {"images": images, "annotations": entries, "categories": [{"id": 1, "name": "person"}]}


def datumaro(drawn):
    entries = [
        [{"id": 0, "type": "mask", "group": k + 1, "label_id": 0, "rle": drawn(n, k)} for k in range(OBJECTS)]
        for n in range(FRAMES)
    ]
    items = [{"id": f"{n:05d}", "annotations": found} for n, found in enumerate(entries)]
    return {"categories": {"label": {"labels": [{"name": "person"}]}}, "items": items}


def youtube(drawn):
    video = {"id": 1, "width": WIDTH, "height": HEIGHT, "file_names": [f"{n:05d}.jpg" for n in range(FRAMES)]}
    entries = [
        {"id": k + 1, "video_id": 1, "category_id": 1, "segmentations": [drawn(n, k) for n in range(FRAMES)]}
        for k in range(OBJECTS)
    ]
    return {"videos": [video], "annotations": entries, "categories": [{"id": 1, "name": "person"}]}


def run_lengths(drawn):
    frames = {str(n): {str(k + 1): drawn(n, k) for k in range(OBJECTS)} for n in range(FRAMES)}
    return {"labels": {}, "frames": frames}


def runs(frame, place):
    return encode_coco_rle(mask(frame, place))


def outline(frame, place):
    left, top, width, height = box(frame, place)
    return [[left, top, left + width, top, left + width, top + height, left, top + height]]


@pytest.mark.parametrize(
    ("kind", "drawn"),
    [(coco, runs), (coco, outline), (datumaro, runs), (youtube, runs), (run_lengths, runs)],
    ids=["coco", "outlines", "datumaro", "youtube", "runs"],
)
def test_masks_of_many_frames_are_not_expanded_together(tmp_path, kind, drawn):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(kind(drawn)))
    tracemalloc.start()
    found = read_keyframes(path, Clip())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The 400 masks take 92 MB together, the 40 label maps 9.
    assert peak < 9 * MIB
    assert found.ids == tuple(range(1, OBJECTS + 1))
    for number in (0, FRAMES - 1):
        for place in range(OBJECTS):
            assert np.array_equal(found.label_maps[number] == place + 1, mask(number, place))


def test_a_label_map_can_be_changed_and_comes_back_as_it_was(tmp_path):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(coco(runs)))
    maps = read_keyframes(path, Clip()).label_maps
    maps[3][:] = 7
    assert set(np.unique(maps[3])) == set(range(OBJECTS + 1))


@pytest.mark.parametrize("kind", [coco, datumaro, youtube, run_lengths])
def test_masks_of_another_size_are_refused_before_they_are_expanded(tmp_path, kind):
    """Each of the 400 would take 256 MiB."""
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(kind(lambda frame, place: {"size": [16384, 16384], "counts": [16384**2]})))
    tracemalloc.start()
    with pytest.raises(MaskError, match=r"16384x16384 pixels, but the frames of clip are 640x360"):
        read_keyframes(path, Clip())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 9 * MIB
