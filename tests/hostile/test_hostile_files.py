"""Files that failed before, as users would give them: a sentence, soon, and without gigabytes."""

from __future__ import annotations

import resource
import sys
import time

import pytest
from shared_folder import SHARED
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.errors import AgssError
from agss_model.weights.registry import load_model

CASES = SHARED / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="needs the folder shared/cases beside the repository")


@pytest.fixture(autouse=True)
def _bounded():
    """No file takes a gigabyte beyond what the process had, nor minutes."""
    unit = 1 if sys.platform == "darwin" else 1024
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, time.process_time()
    yield
    taken, seconds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before, time.process_time() - began
    print(f"{taken >> 20} MiB more at most, {seconds:.1f} s of processor time")
    assert taken < 1 << 30
    assert seconds < 60


@pytest.mark.parametrize("name", ["width-10000", "width-100000", "width-negative", "width-text", "width-two"])
def test_weights_that_ask_for_too_much_or_for_nothing_sensible(name):
    with pytest.raises(AgssError) as refused:
        load_model(str(CASES / "weights" / f"{name}.safetensors"))
    assert 20 < len(str(refused.value)) < 1000


def refused(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 2, (result.output, result.exception)
    assert "Error" in result.stderr
    assert "Traceback" not in result.output
    return " ".join(result.stderr.split())


@pytest.mark.parametrize("name", ["coco.json", "cvat-task-name-traversal.xml", "encoding-utf7.xml"])
def test_annotations(name, tmp_path):
    if name.endswith(".xml"):
        (tmp_path / "annotations.xml").write_bytes((CASES / "readers" / name).read_bytes())
        refused("data", "inspect", tmp_path)
    else:
        refused("data", "inspect", CASES / "readers" / name)


@pytest.mark.parametrize("name", ["jpeg_2000_scans.jpg", "truncated.mp4", "audio_only.mp4"])
def test_media(name, tmp_path):
    source = CASES / "media" / name
    if name.endswith(".jpg"):
        (tmp_path / "frames").mkdir()
        (tmp_path / "frames" / "00000.jpg").write_bytes(source.read_bytes())
        source = tmp_path / "frames"
    mask = CASES / "masks" / "void_border_255.png"
    told = refused("track", source, "--masks", mask, "--out", tmp_path / "out", "--device", "cpu")
    assert name.startswith("jpeg") <= ("scans" in told)
    assert not (tmp_path / "out").exists()
