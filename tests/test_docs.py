"""What the pages name exists: linked files and headings, commands and their options, make targets, modules."""

from __future__ import annotations

import re
import runpy
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from agss_model.cli.main import app

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
