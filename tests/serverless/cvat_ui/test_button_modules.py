"""The button's modules by themselves, with Node's own test runner."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")
TESTS = Path(__file__).parent / "unit"


@pytest.mark.skipif(NODE is None, reason="needs Node.js 20 or newer")
@pytest.mark.parametrize("test", sorted(TESTS.glob("*.test.mjs")), ids=lambda path: path.name)
def test_the_modules(test):
    done = subprocess.run([NODE, "--test", str(test)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout


UI = Path(__file__).parents[3] / "serverless" / "cvat_ui"
BUILT = UI / "node_modules" / ".bin" / "esbuild"


@pytest.mark.skipif(not BUILT.exists(), reason="needs esbuild: npm ci in serverless/cvat_ui")
def test_the_bundle_is_what_the_modules_give(tmp_path):
    out = tmp_path / "agss-vos.js"
    line = json.loads((UI / "package.json").read_text())["scripts"]["build"].split()
    arguments = [part for part in line[1:] if not part.startswith("--outfile")]
    subprocess.run([BUILT, *arguments, f"--outfile={out}", "--log-level=error"], cwd=UI, check=True, timeout=120)
    assert out.read_bytes() == (UI / "agss-vos.js").read_bytes(), "npm run build in serverless/cvat_ui"


@pytest.mark.skipif(not BUILT.exists(), reason="needs TypeScript and oxlint: npm ci in serverless/cvat_ui")
@pytest.mark.parametrize("script", ["check", "lint"])
def test_the_modules_are_checked_by_typescript_and_linted(script):
    done = subprocess.run(["npm", "run", "--silent", script], cwd=UI, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout


def test_no_module_is_long():
    for module in (UI / "src").glob("*.js"):
        assert len(module.read_text().splitlines()) <= 220, module.name


def test_every_name_that_a_module_takes_from_another_is_there():
    """Without a bundler: what is imported is exported."""
    for module in (UI / "src").glob("*.js"):
        for names, other in re.findall(r"import \{([^}]*)\} from '\./(\w+)\.js'", module.read_text()):
            text = (UI / "src" / f"{other}.js").read_text()
            for name in filter(None, map(str.strip, names.split(","))):
                assert re.search(rf"export (async )?(function\*?|class|const) {name}\b", text), (module.name, name)
