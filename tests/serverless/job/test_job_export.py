"""`agss cvat export`: what is drawn in a job, by the writers that runs and FiftyOne have too."""

from __future__ import annotations

import numpy as np
import pytest
from format_readers import READERS, alpha
from job_world import FRAMES, track
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.formats.registry import FORMATS
from agss_model.masks import encode_cvat_mask, read_label_map


def export(server, *arguments, code=0):
    line = ["cvat", "export", "--host", server.url, "--job", "1", *map(str, arguments)]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == code, result.output + repr(result.exception)
    return " ".join(result.output.split())


@pytest.fixture
def tracked(cvat, clip):
    for number in (1, 2):
        cvat.draw(1, "mask", 0, encode_cvat_mask(clip.mask(number, 0)), group=number, label_id=number)
    track(cvat)
    return cvat


@pytest.mark.parametrize("name", FORMATS)
def test_a_tracked_job_goes_into_every_format(tracked, clip, tmp_path, name):
    out = tmp_path / "out"
    said = export(tracked, "--to", name, "--out", out, "--pictures")
    assert f"{FRAMES} frames and 2 objects written" in said
    if name in READERS:
        found = dict(READERS[name](out, clip.size[::-1]))
        assert list(found) == list(range(FRAMES))
        for frame, label_map in found.items():
            assert all(np.array_equal(label_map == number, clip.mask(number, frame)) for number in (1, 2))
    if name == "alpha-video":
        frames = alpha(next(out.iterdir()))
        assert np.array_equal(frames[3][..., 3] > 0, clip.mask(1, 3) | clip.mask(2, 3))


def test_only_what_people_drew_where_that_is_asked_for(tracked, clip, tmp_path):
    export(tracked, "--to", "davis", "--out", tmp_path / "out", "--shapes", "human")
    (path,) = (tmp_path / "out" / "Annotations" / "480p").glob("*/*.png")
    assert np.array_equal(read_label_map(path) == 1, clip.mask(1, 0))


def test_a_file_that_cvat_exported_goes_the_same_way(tracked, tmp_path):
    export(tracked, "--to", "cvat-video", "--out", tmp_path / "xml")
    words = ["export", str(tmp_path / "xml" / "annotations.xml"), "--to", "davis", "--out", str(tmp_path / "two")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    export(tracked, "--to", "davis", "--out", tmp_path / "one")
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).rglob("*.png")} for n in ("one", "two"))
    assert len(one) == FRAMES
    assert one == two


def test_pictures_are_only_fetched_of_the_frames_of_the_job(tracked, tmp_path):
    tracked.jobs[1].start = 4
    export(tracked, "--to", "davis", "--out", tmp_path / "out", "--pictures")
    assert len(list((tmp_path / "out" / "JPEGImages" / "480p").glob("*/*.jpg"))) == FRAMES - 4
    assert "leave out --pictures" in export(
        tracked, "--to", "cvat-video", "--out", tmp_path / "more", "--pictures", code=2
    )


def test_an_empty_job_is_said_to_be_empty(cvat, tmp_path):
    assert "holds nothing to export" in export(cvat, "--to", "coco", "--out", tmp_path / "out", code=2)
