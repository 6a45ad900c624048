"""What commands say: to people, to programs, and never in the words of somebody else's file names."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from little_clip import COUNT
from rich.table import Table
from typer.testing import CliRunner

from agss_model import review
from agss_model.cli import console, report, track
from agss_model.cli.console import ConsoleReport, PlainConsole, clean
from agss_model.cli.main import app
from agss_model.masks import object_ids, read_label_map
from agss_model.ranges import spans
from agss_model.tracking.tracker import Tracker

EVIL = (
    "[red]x[/red]",
    "[/person]",
    "person [left]",
    ":smile:",
    "a\x1b[2Jb",
    "a\x9b31mb",
    "a\rb",
    "a\u202eb",
    "a\udcffb",
)


@pytest.mark.parametrize("text", EVIL)
def test_nothing_from_outside_is_markup_or_moves_the_cursor(text):
    file = io.StringIO()
    console = PlainConsole(file=file, width=80, force_terminal=True, highlight=False)
    table = Table(text)
    table.add_row(text)
    console.print(text)
    console.print(table)
    assert file.getvalue().count(clean(text)) == 3
    assert not set("\r\x9b\u202e") & set(file.getvalue())
    assert "\x1b[2J" not in file.getvalue()


@given(st.text())
def test_clean_text_holds_no_control_characters_and_plain_text_stays(text):
    cleaned = clean(text)
    assert not any((ord(char) < 32 and char not in "\n\t") or 127 <= ord(char) < 160 for char in cleaned)
    assert clean(cleaned) == cleaned


@pytest.mark.parametrize("name", ["[red]out[/red]", "out [/bold]", "out\x1b[31m"])
def test_folders_with_brackets_and_escapes_are_named_as_they_are(agss, clip, first_mask, tmp_path, name):
    out = tmp_path / name
    result = agss("track", clip / "clip.mp4", "--masks", first_mask, "--out", out, "--to", "2")
    assert result.exit_code == 0, result.output
    assert clean(str(out / "masks")) in result.stdout
    refused = agss("track", clip / "clip.mp4", "--masks", first_mask, "--out", out, "--to", "1")
    assert refused.exit_code == 2
    assert clean(str(out)) in refused.stderr
    assert "\x1b" not in result.output + refused.output


@pytest.mark.parametrize("command", [[], ["track"], ["eval"], ["weights"], ["weights", "show"], ["demo"], ["bench"]])
def test_h_is_help_everywhere(command):
    result = CliRunner().invoke(app, [*command, "-h"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_completion_completes_commands_and_weights():
    environment = {"_AGSS_COMPLETE": "complete_bash", "COMP_WORDS": "agss tra", "COMP_CWORD": "1", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-m", "agss_model"], env=environment | {"PYTHONPATH": ":".join(sys.path)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert "track" in done.stdout.split()


def test_quiet_says_nothing_and_json_is_one_object(agss, clip, first_mask, tmp_path):
    words = ["track", clip / "clip.mp4", "--masks", first_mask, "--to", "4"]
    quiet = agss(*words, "--out", tmp_path / "one", "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert agss("track", clip / "no.mp4", "--masks", first_mask, "--out", tmp_path / "no", "-q").stderr.startswith(
        "Error"
    )
    told = json.loads(agss(*words, "--out", tmp_path / "two", "--json").stdout)
    assert told["frames"] == {"first": 0, "last": 4, "tracked": [0, 1, 2, 3, 4]}
    assert [about["id"] for about in told["objects"]] == [1, 2]
    assert set(told["files"]) == {"masks", "scores", "overlay", "record"}
    assert told["objects"][0]["human"] == [0]


SPEAKING = (
    "track", "eval", "export", "bench", "demo", "finetune", "gate", "publish", "serve", "smoke", "cvat track",
    "cvat export",
)  # fmt: skip


@pytest.mark.parametrize("words", SPEAKING)
def test_every_command_that_tells_how_far_it_is_can_be_quiet(words):
    command = typer.main.get_command(app)
    for word in words.split():
        command = command.commands[word]
    assert "--quiet" in [name for option in command.params for name in option.opts]


def test_a_quiet_measurement_says_nothing_and_writes_its_numbers(agss, tmp_path):
    words = ["--objects", "1", "--frames", "1", "--size", "96x64", "--json", tmp_path / "rows.json"]
    loud, quiet = agss("bench", *words), agss("bench", *words, "--quiet")
    assert "turns done" in loud.stderr
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert json.loads((tmp_path / "rows.json").read_text())["rows"]


@pytest.mark.parametrize(("unit", "rate"), [("frames", "fps"), ("steps", "steps a second")])
def test_on_a_pipe_a_line_says_how_far_it_is_and_of_what(monkeypatch, capsys, unit, rate):
    monkeypatch.setattr(console, "_QUIET_SECONDS", 0)
    monkeypatch.setitem(console._state, "quiet", False)
    with ConsoleReport().progress("learning", 4, unit=unit) as progress:
        progress.advance()
    assert re.search(rf"learning: 1 of 4 {unit}, [0-9.]+ {rate}, ", " ".join(capsys.readouterr().err.split()))


@pytest.mark.parametrize("single", [True, False])
def test_the_last_line_is_the_command_that_corrects(agss, clip, tmp_path, monkeypatch, single):
    monkeypatch.setattr(review, "LOW", 1.01)  # everything is doubtful
    folder = tmp_path / "my masks"
    folder.mkdir()
    shutil.copy(clip / "truth" / "00000.png", folder)
    masks = folder / "00000.png" if single else folder
    result = agss("track", clip / "clip.mp4", "--masks", masks, "--out", tmp_path / "out")
    last = result.stdout.rstrip().splitlines()[-1]
    number = int(last.removeprefix("To correct frame ").split(",")[0])
    command = shlex.split(last.partition("then: ")[2])
    if single:
        copied, to = (Path(path) for path in re.fullmatch(r".*copy (.*) to (.*), draw .*", last).groups())
        to.parent.mkdir()
        shutil.copy(copied, to)
        folder = to.parent
    shutil.copy(clip / "truth" / f"{number:05d}.png", folder)
    again = CliRunner().invoke(app, command[1:])
    assert again.exit_code == 0, again.output
    assert f"tracked again {spans(range(number, COUNT))}" in " ".join(again.stdout.split())


@pytest.mark.parametrize(
    ("architecture", "words", "said"), [("lite", [], 1), ("lite", ["--adapt=2"], 0), ("rgmp", [], 0)]
)
def test_learning_is_offered_where_masks_are_doubtful_and_it_was_not_done(
    agss, clip, first_mask, tmp_path, monkeypatch, architecture, words, said
):
    monkeypatch.setattr(review, "LOW", 1.01)
    monkeypatch.setattr(report, "can_learn", lambda _: architecture == "lite")
    monkeypatch.setattr(track, "adapted_weights", lambda weights, *_: weights)
    result = agss("track", clip / "clip.mp4", "--masks", first_mask, "--out", tmp_path / "out", *words)
    assert result.exit_code == 0, result.output
    assert " ".join(result.stdout.split()).count("--adapt 2 --overwrite first learns") == said


def test_an_interrupted_run_says_how_to_go_on(agss, clip, first_mask, tmp_path, monkeypatch):
    monkeypatch.setattr(Tracker, "step", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    result = agss("track", clip / "clip.mp4", "--masks", first_mask, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "same command continues" in result.stderr


def test_masks_can_be_called_like_the_images(agss, clip, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        shutil.copy(clip / "frames" / f"{number:05d}.png", frames / f"shot_{number + 7}.png")
    shutil.copy(clip / "truth" / "00000.png", tmp_path / "shot_7.png")
    words = ["--masks", tmp_path / "shot_7.png", "--names", "source"]
    for _ in range(2):
        result = agss("track", frames, *words, "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
    assert "complete" in result.stdout
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()) == [f"shot_{n}.png" for n in (7, 8, 9)]
    assert object_ids(read_label_map(tmp_path / "out" / "masks" / "shot_9.png")) == (1, 2)
    assert agss("track", frames, *words, "--out", tmp_path / "out", "--overwrite").exit_code == 0
    refused = agss(
        "track", clip / "clip.mp4", *words[:1], clip / "truth/00000.png", *words[2:], "--out", tmp_path / "no"
    )
    assert refused.exit_code == 2
    assert "--names" in refused.stderr


@pytest.mark.skipif(os.name != "posix", reason="names that Windows and macOS do not take")
@pytest.mark.parametrize("name", [b"two\nlines.png", b"caf\xe9.png", "left\u202eright.png".encode()])
def test_names_that_a_record_cannot_hold_are_no_names_for_masks(agss, clip, tmp_path, name):
    (tmp_path / "frames").mkdir()
    shutil.copy(clip / "frames" / "00000.png", os.fsencode(tmp_path / "frames") + b"/" + name)
    words = ["track", tmp_path / "frames", "--masks", clip / "truth/00000.png", "--out", tmp_path / "out"]
    refused = agss(*words, "--names", "source")
    assert refused.exit_code == 2
    assert "rename it, or leave --names out" in refused.stderr
    assert agss(*words).exit_code == 0
