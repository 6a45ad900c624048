"""Everything here runs against a real FiftyOne with a real database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plugin_source import PLUGIN


@pytest.fixture(autouse=True)
def _connected(database):
    """Every test of this folder has the database."""


@pytest.fixture(scope="session")
def little_network():
    """The shipped weights on small frames."""
    from agss_model.weights.registry import load_model

    return load_model("lite", max_side=128, small_object=0)


@pytest.fixture
def operator():
    """An operator of the plugin, by its name, as FiftyOne finds it."""
    import fiftyone.operators as foo

    plugins = Path(os.environ["FIFTYONE_PLUGINS_DIR"])
    plugins.mkdir(parents=True, exist_ok=True)
    if not (plugins / "agss-vos").exists():
        (plugins / "agss-vos").symlink_to(PLUGIN)
    return lambda name: foo.get_operator(f"@agss/vos/{name}")


@pytest.fixture
def data(scene, tmp_path):
    """Two videos of four frames, every frame drawn by a human."""
    import fiftyone as fo
    from little_videos import drawn, video_sample, write_video

    made = fo.Dataset()
    for name in ("a", "b"):
        path = write_video(tmp_path / f"{name}.mp4", scene, 4)
        made.add_sample(video_sample(path, {t: drawn(scene, t) for t in range(4)}))
    yield made
    made.delete()
