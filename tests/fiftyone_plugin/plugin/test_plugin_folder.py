"""The folder that FiftyOne downloads: whole, small, and helpful where the package is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import pytest
import yaml
from fiftyone.plugins import load_plugin_requirements
from fiftyone.plugins.context import build_plugin_contexts

import fiftyone_plugin

FOLDER = Path(fiftyone_plugin.__file__).parent / "plugin"
DEFINITION = yaml.safe_load((FOLDER / "fiftyone.yml").read_text())


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """A plugins directory with a copy of the folder, far from the repository."""
    shutil.copytree(FOLDER, tmp_path / "downloaded", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fo.config, "plugins_dir", str(tmp_path))
    return tmp_path


def ours(context):
    return context.name == fiftyone_plugin.PLUGIN


def test_a_copy_of_the_folder_registers_everything_it_names(plugins):
    contexts = [c for c in build_plugin_contexts() if ours(c)]
    assert [c.errors for c in contexts] == [[]]
    registered = {instance.config.name for instance in contexts[0].instances}
    assert registered == {*DEFINITION["operators"], *DEFINITION["panels"]}
    listed = {operator.uri for operator in foo.list_operators()}
    assert {f"{fiftyone_plugin.PLUGIN}/{name}" for name in registered} <= listed


def test_every_icon_is_there_for_light_and_dark(plugins):
    context = next(c for c in build_plugin_contexts() if ours(c))
    shown = [instance.config for instance in context.instances if not instance.config.unlisted]
    shown += [instance.config for instance in context.instances if isinstance(instance, foo.Panel)]
    assert len(shown) >= 7
    for config in shown:
        for icon in filter(None, (config.icon, config.light_icon, config.dark_icon)):
            if "/" in icon:  # the others are of Material, which the App brings
                assert (plugins / "downloaded" / icon.lstrip("/")).is_file(), (config.name, icon)


def test_operators_say_how_risky_they_are(plugins):
    context = next(c for c in build_plugin_contexts() if ours(c))
    risks = {i.config.name: str(i.config.risk_level) for i in context.instances if not isinstance(i, foo.Panel)}
    assert not [name for name, risk in risks.items() if "dangerous" in risk.lower()], risks


def test_the_script_that_the_panel_needs_is_part_of_the_folder():
    script = (FOLDER / DEFINITION["js_bundle"]).read_text()
    assert 'name: "go_to_frame"' in script
    assert f'"{fiftyone_plugin.PLUGIN}"' in script


@pytest.fixture
def repository(tmp_path):
    """Address of an archive as a code host makes one of the whole repository, on a server of this machine."""
    archive = tmp_path / "served" / "agss-vos.zip"
    archive.parent.mkdir()
    root = Path(fiftyone_plugin.__file__).parents[1]
    files = [root / "pyproject.toml", root / "function.yaml", *(root / "fiftyone_plugin").rglob("*")]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                packed.write(path, Path("agss-vos-main") / path.relative_to(root))
    handler = partial(_Quiet, directory=archive.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{archive.name}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def run_fiftyone(plugins, *arguments):
    """The command line of FiftyOne, as users call it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from fiftyone.core.cli import main; main()", "plugins", *arguments],
        env={**os.environ, "FIFTYONE_PLUGINS_DIR": str(plugins)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_fiftyone_downloads_the_plugin_from_an_archive_of_the_repository(repository, tmp_path, monkeypatch):
    """With its own command; the only step left out is the code host that makes the archive."""
    home = tmp_path / "plugins"
    run_fiftyone(home, "download", repository)
    (place,) = [path.parent for path in home.rglob("fiftyone.yml")]
    ours = {path.relative_to(FOLDER) for path in FOLDER.rglob("*") if "__pycache__" not in path.parts}
    assert {path.relative_to(place) for path in place.rglob("*")} == ours
    monkeypatch.setattr(fo.config, "plugins_dir", str(home))
    (context,) = [c for c in build_plugin_contexts() if c.name == fiftyone_plugin.PLUGIN]
    assert context.errors == []
    assert {instance.config.name for instance in context.instances} == {*DEFINITION["operators"], *DEFINITION["panels"]}
    assert load_plugin_requirements(fiftyone_plugin.PLUGIN) == ["agss-vos[fiftyone]>=0.1"]
    assert "Skipping existing" in run_fiftyone(home, "download", repository)


def in_another_process(plugins, code):
    environment = {**os.environ, "FIFTYONE_PLUGINS_DIR": str(plugins)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_without_the_package_the_operators_say_what_to_install(plugins):
    found = in_another_process(
        plugins,
        "import json, sys\n"
        "sys.modules['fiftyone_plugin'] = None\n"
        "import fiftyone as fo, fiftyone.operators as foo\n"
        "from fiftyone.plugins.context import build_plugin_contexts\n"
        "errors = [c.errors for c in build_plugin_contexts() if c.has_errors()]\n"
        "operator = foo.get_operator('@agss/vos/track_objects')\n"
        "form = operator.resolve_input(foo.ExecutionContext({})).to_json()\n"
        "try:\n    operator.execute(None)\nexcept RuntimeError as error:\n    raised = str(error)\n"
        "print(json.dumps([errors, form, raised]))",
    )
    errors, form, raised = found
    assert errors == []
    for text in (json.dumps(form).replace('\\"', '"'), raised):
        assert 'pip install ".[fiftyone]"' in text
