"""The folder that FiftyOne downloads: whole, small, and helpful where the package is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import pytest
import yaml
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
            assert (plugins / "downloaded" / icon.lstrip("/")).is_file(), (config.name, icon)


def test_operators_say_how_risky_they_are(plugins):
    context = next(c for c in build_plugin_contexts() if ours(c))
    risks = {i.config.name: str(i.config.risk_level) for i in context.instances if not isinstance(i, foo.Panel)}
    assert not [name for name, risk in risks.items() if "dangerous" in risk.lower()], risks


def test_the_script_that_the_panel_needs_is_part_of_the_folder():
    script = (FOLDER / DEFINITION["js_bundle"]).read_text()
    assert 'name: "go_to_frame"' in script
    assert f'"{fiftyone_plugin.PLUGIN}"' in script


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
        assert 'pip install "agss-vos[fiftyone]"' in text
