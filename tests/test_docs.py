"""What the pages name exists: linked files and headings, commands and their options, make targets, modules."""

from __future__ import annotations

import doctest
import re
import runpy
import shlex
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import pytest
import typer

import agss_model
from agss_model import open_source
from agss_model.cli.main import app
from agss_model.formats.registry import FORMATS
from agss_model.video import VideoWriter

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "docs/decisions/*.md",
        "docs/api/*.md",
        "agss_model/**/*.md",
        "fiftyone_plugin/plugin/*.md",
    )
    for path in ROOT.glob(pattern)
)
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(page):
    """Of the headings, as GitHub makes them."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = set()
    for heading in re.findall(r"^#+ +(.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        found.add(re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-"))
    return found


def commands(text):
    """Command lines of code blocks, and commands named between backticks, each as a list of words."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))
    for line in lines:
        for part in re.split(r"\s(?:&&|\|\||\||;)\s", line):
            try:
                yield shlex.split(part, comments=True)
            except ValueError:  # a lone quote in a sentence
                continue


@EACH
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not anchor or linked.suffix != ".md" or anchor in anchors(linked), target


@EACH
def test_commands_and_their_options_exist(page):
    root = typer.main.get_command(app)
    for words in commands(page.read_text()):
        if words[:1] != ["agss"]:
            continue
        command, at = root, 1
        while at < len(words) and hasattr(command, "commands") and re.fullmatch(r"[a-z]+", words[at]):
            assert words[at] in command.commands, words
            command, at = command.commands[words[at]], at + 1
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        asked = {word.partition("=")[0] for word in words[at:] if re.match(r"--[a-z]", word)}
        assert asked <= known | {"--help"}, (words, asked - known)


@EACH
def test_make_targets_and_modules_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(page.read_text()):
        if words[:1] == ["make"]:
            asked = [word for word in words[1:] if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
            assert set(asked) <= targets, words
        if words[:2] == ["python", "-m"] and words[2].partition(".")[0] in ("agss_model", "serverless", "training"):
            assert find_spec(words[2]) is not None, words


def test_the_python_of_the_readme_tracks_a_clip(tmp_path, monkeypatch, capsys):
    demo = Path(agss_model.__file__).parent / "demo_clip"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first.png").write_bytes((demo / "pedestrians_first.png").read_bytes())
    with open_source(demo / "pedestrians.mp4") as source, VideoWriter(Path("video.mp4"), 10, source.size) as writer:
        for frame in islice(source.frames(), 3):
            writer.write(frame)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own page
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["1", "2"]


def test_the_readme_names_every_format():
    text = (ROOT / "README.md").read_text()
    exports = text[text.index("agss export result --to") :].split("```")[0]
    assert set(FORMATS) <= set(re.findall(r"[a-z-]+", exports))


def test_the_examples_in_docstrings_give_what_they_say():
    tried = 0
    for path in sorted((ROOT / "agss_model").rglob("*.py")):
        if ">>> " in path.read_text():
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found = doctest.testmod(import_module(name))
            assert found.failed == 0, name
            tried += found.attempted
    assert tried >= 3


def test_the_page_of_results_holds_every_record_as_it_stands():
    writer = runpy.run_path(str(ROOT / "docs" / "write_benchmarks.py"))
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    for record in writer["records"]():
        assert writer["block"](record) in page, f"{record['title']}: run python docs/write_benchmarks.py"


def test_every_decision_is_in_the_list_and_every_page_in_the_menu():
    folder = ROOT / "docs" / "decisions"
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in folder.glob("[0-9]*.md"):
        assert f"]({page.name})" in (folder / "README.md").read_text()
        assert f"decisions/{page.name}" in menu


def test_the_pages_name_enough_to_be_worth_looking_at():
    """Otherwise the reading above would be broken rather than the pages right."""
    named = [words for page in PAGES for words in commands(page.read_text()) if words[:1] == ["agss"]]
    assert len(named) >= 40
    assert {words[1] for words in named if len(words) > 1} >= {"track", "eval", "bench", "serve", "cvat", "finetune"}
