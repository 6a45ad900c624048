"""`agss fiftyone install`."""

from __future__ import annotations

import fiftyone as fo
import pytest
from fiftyone.plugins.context import build_plugin_contexts
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.errors import OutputError
from fiftyone_plugin.cli import copy_plugin


def test_the_command_puts_the_plugin_where_fiftyone_finds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(fo.config, "plugins_dir", str(tmp_path / "plugins"))
    result = CliRunner().invoke(app, ["fiftyone", "install"])
    assert result.exit_code == 0, result.output
    assert [c.name for c in build_plugin_contexts() if not c.has_errors()].count("@agss/vos") == 1


def test_an_earlier_copy_is_replaced_whole(tmp_path):
    plugins = tmp_path / "plugins"
    place = copy_plugin(plugins)
    (place / "left_over.py").write_text("")
    (place / "fiftyone.yml").write_text("name: old")
    assert copy_plugin(plugins) == place
    assert not (place / "left_over.py").exists()
    assert "@agss/vos" in (place / "fiftyone.yml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["plugins"]


def test_a_copy_that_fiftyone_downloaded_is_replaced_where_it_is(tmp_path):
    place = tmp_path / "plugins" / "@agss" / "vos"
    place.mkdir(parents=True)
    (place / "fiftyone.yml").write_text("name: '@agss/vos'\nversion: 0.0.1")
    assert copy_plugin(tmp_path / "plugins") == place
    assert [path.parent for path in tmp_path.rglob("fiftyone.yml")] == [place]
    assert (place / "go_to_frame.js").is_file()


def test_something_else_in_its_place_is_left_alone(tmp_path):
    (tmp_path / "agss-vos").mkdir()
    (tmp_path / "agss-vos" / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not a copy of the plugin"):
        copy_plugin(tmp_path)
    assert (tmp_path / "agss-vos" / "mine.txt").read_text() == "keep"
