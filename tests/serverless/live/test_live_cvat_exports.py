"""Exports of tracked jobs from a CVAT server that runs, and the server itself, read back: one identity per object."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from live_cvat import ADDRESS, FRAMES, LOGIN, SIZE, Live, best, write_clip
from live_scenarios import ALL, correct

from training.annotations.catalog import open_catalog

pytestmark = pytest.mark.slow
EVERYWHERE = {1: sorted(ALL), 2: sorted(ALL)}


@pytest.fixture
def tracked(live: Live) -> Live:
    """Object 1 as masks of a person, one of them corrected; 2 as a track of a car that a person began."""
    live.draw("mask", 1, 0)
    live.draw_track("polygon", 2, 0, label="car")
    live.machine()
    correct(1, 5)(live)
    live.machine(on="b")
    return live


def exported(live: Live, client, name: str, *, images: bool = False) -> Path:
    """The file that CVAT makes of the job."""
    path = live.folder / "export.zip"
    client.jobs.retrieve(live.info.job).export_dataset(name, path, include_images=images, status_check_period=1)
    return path


def objects_in(source: str, include: str) -> list[dict[int, list[int]]]:
    """What training reads of a job: for each of its objects, which true ones it covers, in which frames of the job."""
    [video] = open_catalog([source]).videos
    found: dict[int, dict[int, list[int]]] = {}
    for frame in video.truth.frames(include):
        labels = video.truth.label_map(frame, include)
        for number in np.unique(labels[labels > 0]):
            number_of = best(labels == number, frame % FRAMES)
            found.setdefault(int(number), {}).setdefault(number_of, []).append(frame % FRAMES)
    return list(found.values())


def check_objects(source: str, human: dict[int, list[int]] | None = None) -> None:
    everything = objects_in(source, "all")
    assert len(everything) == 2
    assert {**everything[0], **everything[1]} == EVERYWHERE
    drawn = {number: frames for one in objects_in(source, "human") for number, frames in one.items()}
    assert drawn == (human or {1: [0, 5], 2: [0]})


def test_the_server_is_read_with_one_identity_per_object(tracked, monkeypatch):
    monkeypatch.setenv("CVAT_USERNAME", LOGIN[0])
    monkeypatch.setenv("PASS", LOGIN[1])
    check_objects(f"cvat:{ADDRESS}/jobs/{tracked.info.job}")


def test_cvat_for_video(tracked, live_client):
    path = exported(tracked, live_client, "CVAT for video 1.1")
    write_clip(tracked.folder / "clip.mp4", tracked.info.stop // FRAMES + 1)
    check_objects(f"{path}::{tracked.folder / 'clip.mp4'}")


def test_cvat_for_images(tracked, live_client):
    path = exported(tracked, live_client, "CVAT for images 1.1", images=True)
    everything = tracked.folder / "images"
    shutil.unpack_archive(path, everything)
    check_objects(str(everything), {1: [0, 5]})  # the format does not say which polygons of a track were drawn


def test_segmentation_mask(tracked, live_client):
    """It has no identity: only that each object is where it should be, once."""
    path = exported(tracked, live_client, "Segmentation mask 1.1")
    with zipfile.ZipFile(path) as archive:
        pictures = sorted(name for name in archive.namelist() if name.startswith("SegmentationObject/"))
        assert len(pictures) == FRAMES
        for frame, name in enumerate(pictures):
            image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR)
            colours = [c for c in np.unique(image.reshape(-1, 3), axis=0) if c.any()]
            assert sorted(best((image == c).all(-1), frame) for c in colours) == [1, 2]


def test_coco(tracked, live_client):
    """It has no identity either: each object where it should be, once in each frame, under its label."""
    path = exported(tracked, live_client, "COCO 1.0")
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("annotations/instances_default.json"))
    frames = {image["id"]: int(Path(image["file_name"]).stem.rpartition("_")[2]) % FRAMES for image in data["images"]}
    labels = {category["id"]: category["name"] for category in data["categories"]}
    found = sorted(
        (
            frames[one["image_id"]],
            best(_pixels(one["segmentation"]), frames[one["image_id"]]),
            labels[one["category_id"]],
        )
        for one in data["annotations"]
    )
    assert found == [(f, number, name) for f in range(FRAMES) for number, name in ((1, "person"), (2, "car"))]


def _pixels(segmentation: dict | list) -> np.ndarray:
    coco = pytest.importorskip("pycocotools.mask")
    runs = coco.frPyObjects(segmentation, *SIZE)
    mask = coco.decode(coco.merge(runs) if isinstance(runs, list) else runs)
    return mask.astype(bool)
