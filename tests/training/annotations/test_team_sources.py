from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from little_data import make_videos
from PIL import Image
from team_data import frame_and_masks, write_export, write_frames, write_video
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.errors import AgssError, ConfigError, MediaError
from agss_model.masks import write_label_map
from training.annotations.catalog import open_catalog
from training.annotations.prepare import prepare


def only(source):
    return open_catalog([str(source)]).videos[0]


def test_an_export_with_its_images_gives_frames_and_masks(tmp_path):
    video = only(write_export(tmp_path / "team"))
    assert video.truth.frames() == (0, 4, 8, 11)
    assert video.labels == {1: "box", 2: "box"}
    frame, masks = frame_and_masks(4)
    with video.open() as frames:
        assert (frames.read(4) == frame).all()
    for object_id, mask in masks.items():
        assert ((video.truth.label_map(4) == object_id) == mask).all()


def test_frames_of_a_video_are_those_the_task_shows(tmp_path):
    folder = write_export(tmp_path / "team", annotated=(0, 2, 3), frames=4, start=3, step=2, video="clip.mp4")
    write_video(folder / "clip.mp4")
    video = only(folder / "annotations.xml")
    with video.open() as frames:
        assert len(frames) == 4
        for t, picture in enumerate(frames.frames()):
            distance = [np.abs(picture.astype(int) - frame_and_masks(n)[0]).mean() for n in range(12)]
            assert int(np.argmin(distance)) == 3 + 2 * t
        assert (np.stack(list(frames.frames(3, 0, -1))) == np.stack([frames.read(t) for t in (3, 2, 1)])).all()


def test_the_wrong_video_is_refused(tmp_path):
    folder = write_export(tmp_path / "team", video="clip.mp4")
    with pytest.raises(MediaError, match=r"the video of task 'clip' is not beside it .*'clip\.mp4'"):
        only(folder)
    write_video(folder / "other.mp4", count=5)
    with pytest.raises(MediaError, match="annotations go to frame 11"):
        only(folder)
    write_frames(tmp_path / "whole")
    assert len(only(f"{folder / 'annotations.xml'}::{tmp_path / 'whole'}").truth.frames()) == 4
    Image.new("RGB", (60, 40)).save(tmp_path / "small.png")
    small = tmp_path / "small"
    small.mkdir()
    for t in range(12):
        shutil.copy(tmp_path / "small.png", small / f"{t}.png")
    with pytest.raises(MediaError, match="frames are 60x40, but the annotations were made for 80x48"):
        only(f"{folder / 'annotations.xml'}::{small}")


def test_folders_are_read_in_either_layout(tmp_path):
    dense, sparse = make_videos(tmp_path / "dense", ["a"]), make_videos(tmp_path / "sparse", ["a"], every=3)
    assert only(dense).truth.frames() == tuple(range(8))
    assert only(sparse).truth.frames() == (0, 3, 6)
    assert only(sparse).truth.known(3) == (1, 2)


def test_names_become_different_folder_names(tmp_path):
    sources = [str(write_export(tmp_path / str(n), name="a/../b c")) for n in range(3)]
    assert [video.name for video in open_catalog(sources).videos] == ["a_.._b_c", "a_.._b_c-2", "a_.._b_c-3"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "does not exist"),
        ("empty", "no source of annotated videos"),
        ("davis2016_dev", "no source of annotated videos"),
        ("export.zip", "damaged ZIP file"),
        ("clip.mp4", r"clip\.mp4 is no annotations\.xml; give that file"),
        ("cvat:host/tasks/x", "no place on a server"),
        ("fiftyone:name", "names no field"),
    ],
)
def test_what_is_no_source_is_explained(tmp_path, monkeypatch, source, message):
    for folder in ("empty", "davis2016_dev"):
        (tmp_path / folder).mkdir()
    (tmp_path / "export.zip").write_bytes(b"PK")
    (tmp_path / "clip.mp4").write_bytes(b"no XML")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AgssError, match=message):
        open_catalog([source])


def test_a_server_needs_access(monkeypatch):
    pytest.importorskip("cvat_sdk")
    for name in ("CVAT_ACCESS_TOKEN", "CVAT_USERNAME", "PASS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="set CVAT_ACCESS_TOKEN"):
        open_catalog(["cvat:http://127.0.0.1:9/tasks/1"])


@pytest.mark.parametrize("place", ["tasks/7", "jobs/1", "projects/3"])
def test_a_server_is_read_frame_by_frame(monkeypatch, tmp_path, place):
    pytest.importorskip("cvat_sdk")
    fake = pytest.importorskip("fake_cvat")
    from agss_model.masks.rle import encode_cvat_mask

    class Server(fake.FakeCvat):
        """With what only training asks for."""

        def _route(self, method, path, query, data):
            job = next(iter(self.jobs.values()))
            if path in ("/api/tasks", "/api/jobs"):
                rows = [self._task()] if path == "/api/tasks" else [self._job(job)]
                return {"count": 1, "next": None, "previous": None, "results": rows}
            if path == "/api/tasks/7":
                return self._task()
            if path == "/api/tasks/7/data/meta":
                return self._meta(job)
            return self._frame(job, query) if path == "/api/tasks/7/data" else super()._route(method, path, query, data)

        def _task(self):
            return {"id": 7, "name": "lake", "size": len(self.images)}

    images = [frame_and_masks(t)[0] for t in range(4)]
    with Server(images) as server:
        number = next(iter(server.jobs))
        for t in (0, 2):
            for k, mask in frame_and_masks(t)[1].items():
                server.draw(number, "mask", t, encode_cvat_mask(mask), group=k)
        monkeypatch.setenv("CVAT_ACCESS_TOKEN", fake.TOKEN)
        video = only(f"cvat:{server.url}/{place.replace('jobs/1', f'jobs/{number}')}")
        assert video.truth.frames() == (0, 2)
        assert ((video.truth.label_map(2) == 2) == frame_and_masks(2)[1][2]).all()
        with video.open() as frames:
            assert (frames.read(3) == images[3]).all()


def test_inspect_prints_numbers_and_problems_and_draws(tmp_path):
    source, sheet = write_export(tmp_path / "team", name="lake"), tmp_path / "sheet.png"
    done = CliRunner().invoke(app, ["data", "inspect", str(source), "--sheet", str(sheet)])
    assert done.exit_code == 0, done.output
    assert "1 video, 4 annotated frames, 0 problems" in done.output
    assert "1 box, 2 box" in done.output
    assert Image.open(sheet).size == (5 * 320, 192)
    lonely = write_export(tmp_path / "lonely", annotated=(3,))
    assert "only one frame is annotated" in CliRunner().invoke(app, ["data", "inspect", str(lonely)]).output
    (source / "annotations.xml").write_text((source / "annotations.xml").read_text().replace('left="4"', 'left="70"'))
    broken = CliRunner().invoke(app, ["data", "inspect", str(source)])
    assert broken.exit_code == 2
    assert "track 0 (box), <mask> of frame 0" in " ".join(broken.output.split())


def test_prepared_videos_hold_the_exact_masks_and_nothing_of_the_held_out_ones(tmp_path):
    sources = [str(write_export(tmp_path / f"s{n}", name=f"v{n}", seed=n)) for n in range(3)]
    said: list[str] = []
    done = prepare(lambda: open_catalog(sources), tmp_path / "data", {"a": 1}, hold_out=("v1",), say=said.append)
    assert sorted(path.name for path in (done.root / "train" / "JPEGImages").iterdir()) == ["v0", "v2"]
    assert [path.name for path in (done.root / "held_out" / "Annotations").iterdir()] == ["v1"]
    assert not [path for path in (done.root / "stills").rglob("*") if "v1" in path.name]
    assert len(list((done.root / "stills" / "images").iterdir())) == 8
    for name in ("v0", "v2"):
        for path in sorted((done.root / "train" / "Annotations" / name).iterdir()):
            masks = frame_and_masks(int(path.stem))[1]
            labels = np.array(Image.open(path))
            assert all(((labels == k) == mask).all() for k, mask in masks.items())
    again = prepare(lambda: pytest.fail("read again"), tmp_path / "data", {"a": 1})
    assert again.record["train"] == done.record["train"]
    with pytest.raises(ConfigError, match="another run: a was 1, now it is 2"):
        prepare(lambda: pytest.fail("read again"), tmp_path / "data", {"a": 2})


def test_nothing_is_left_of_a_preparation_that_fails(tmp_path):
    sources = [str(write_export(tmp_path / f"s{n}", name=f"v{n}", seed=n)) for n in range(2)]
    catalog = open_catalog(sources)
    for path in sorted((tmp_path / "s1" / "images").iterdir())[2:3]:
        path.write_bytes(b"no image")
    with pytest.raises(MediaError, match="frame_000002"):
        prepare(lambda: catalog, tmp_path / "run" / "data", {}, say=lambda text: None)
    assert list((tmp_path / "run").iterdir()) == []


def test_untouched_predictions_alone_are_refused(tmp_path):
    source = write_export(tmp_path / "team")
    text = (source / "annotations.xml").read_text().replace('source="manual"', 'source="auto"')
    (source / "annotations.xml").write_text(text)
    with pytest.raises(MediaError, match="no frame was touched by a human"):
        prepare(lambda: open_catalog([str(source)]), tmp_path / "data", {})


def test_what_tracking_reads_is_read_here_with_its_clip(tmp_path):
    root = make_videos(tmp_path / "set", ["a"], frames=4)
    clip = root / "JPEGImages" / "a"
    ring = [4, 4, 20, 4, 20, 30, 4, 30]
    entry = {"id": 1, "image_id": 1, "category_id": 1, "track_id": 3, "bbox": [4, 4, 16, 26], "segmentation": [ring]}
    coco = {
        "images": [{"id": 1, "file_name": "00002.jpg", "width": 80, "height": 48}],
        "annotations": [entry],
        "categories": [{"id": 1, "name": "person"}],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(coco))
    [video] = open_catalog([f"{path}::{clip}"]).videos
    assert (video.truth.frames(), video.truth.known(2), video.labels) == ((2,), (3,), {3: "person"})
    assert (video.truth.label_map(2) == 3).sum() == 16 * 26
    with video.open() as source:
        assert len(source) == 4
    with pytest.raises(MediaError, match=r"which clip it was drawn on; write .*coco\.json::CLIP"):
        open_catalog([str(path)])
    path.write_text(json.dumps(coco | {"annotations": [entry | {"segmentation": []}]}))
    with pytest.raises(MediaError, match="1 boxes; training needs masks"):
        open_catalog([f"{path}::{clip}"])


def test_masks_that_agss_track_takes_are_read_with_their_clip(tmp_path):
    clip = tmp_path / "frames"
    clip.mkdir()
    given = tmp_path / "given"
    given.mkdir()
    drawn = np.zeros((30, 40), np.uint8)
    drawn[4:12, 5:20], drawn[15:25, 22:36] = 1, 2
    for number in range(4):
        cv2.imwrite(str(clip / f"shot_{number}.png"), np.full((30, 40, 3), 90, np.uint8))
    write_label_map(given / "shot_0.png", drawn)
    (given / "shot_2.json").write_text('{"absent": [2]}')
    [video] = open_catalog([f"{given}::{clip}"]).videos
    assert (video.truth.frames(), video.truth.known(0), video.truth.known(2)) == ((0, 2), (1, 2), (2,))
    assert np.array_equal(video.truth.label_map(0), drawn)
    [video] = open_catalog([f"{given / 'shot_0.png'}::{clip}"]).videos
    assert video.truth.frames() == (0,)
    with pytest.raises(ConfigError, match="masks, COCO"):
        open_catalog([str(given)])
