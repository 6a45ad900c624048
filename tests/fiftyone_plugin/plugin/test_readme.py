"""The plugin's README, from the first line of Python to the last, on small frames."""

from __future__ import annotations

import re

import fiftyone as fo
import pytest
from plugin_source import PLUGIN

README = (PLUGIN / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_its_python_runs_as_it_stands(operator, little_network, monkeypatch, capsys):
    operator("track_objects")  # installed, as the README has it
    for place in ("track.tracking", "zoo.model"):
        monkeypatch.setattr(f"fiftyone_plugin.{place}.load_network", lambda *_: little_network)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 4
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - our own page
        dataset = names["dataset"]
    said = capsys.readouterr().out
    assert "1 clip tracked: 7 objects" in said
    assert "to look at" in said
    assert dataset.active_label_schemas == ["frames.tracks"]
    assert dataset.label_schemas["frames.tracks"]["classes"] == ["person"]
    assert fo.load_dataset("walkers").first().frames[2]["tracks"].detections
    dataset.delete()


def test_its_pictures_are_there():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) >= 3
    assert all((PLUGIN / picture).is_file() for picture in pictures)
