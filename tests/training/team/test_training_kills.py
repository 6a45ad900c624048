"""Killed at any moment and begun again, learning comes to the same weights, and leaves nothing else."""

from __future__ import annotations

import json

import pytest
from kills import Work, command, emptied, files_of, groups, timed
from little_data import RUNS, make_stills
from safetensors.torch import load_file
from team_data import little_weights, write_export
from test_adapt import CONFIG, Clip, Silent

from agss_model.files import is_leftover, opened
from training.team import adapt as adapting
from training.train import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def names_of(folder):
    """Files of a run; those of TensorBoard have the time in their names."""
    return {name for name in files_of(folder) if "tensorboard/" not in name}


def losses(out):
    rows = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [(row["step"], row["loss"]) for row in rows if "loss" in row]


def same_weights(one, two):
    ours, theirs = load_file(one), load_file(two)
    return ours.keys() == theirs.keys() and all((ours[name] == theirs[name]).all() for name in ours)


def check(work, out, whole, given, *, every_step=False):
    """Kill the work in `out` again and again; each time the end is that of `whole`."""
    before = files_of(given)
    seconds = timed(work)
    out.rename(whole)
    for moments in groups(seconds):
        emptied(out)
        for moment in moments:
            work.kill_after(moment)
        work.finish()
        assert not [name for name in files_of(out) if is_leftover(name.rsplit("/", 1)[-1])]
        assert names_of(out) == names_of(whole)
        assert losses(out) == losses(whole) or not every_step
        for name in ("latest.safetensors", "best.safetensors"):
            assert same_weights(out / name, whole / name), (moments, name)
    assert files_of(given) == before


def test_a_training(tmp_path):
    data, out = make_stills(tmp_path / "stills"), tmp_path / "out"
    words = [RUNS / "tiny.toml", "--data", data, "--out", out, "--log-seconds", "0", "--save-seconds", "0"]
    words = [*map(str, words), "--validate-every", "3", "--threads", "1", "--steps", "6"]
    check(Work(main, words, log=tmp_path / "log"), out, tmp_path / "whole", data, every_step=True)


def test_a_fine_tuning(tmp_path):
    team, out = tmp_path / "team", tmp_path / "out"
    for n in range(3):
        write_export(team / f"s{n}", name=f"v{n}", seed=n)
    little_weights(team / "start.safetensors")
    words = ["finetune", *(team / f"s{n}" for n in range(3)), "--out", out, "--hold-out", "v1", "--threads", "1"]
    words += ["--weights", team / "start.safetensors", "--size", "64", "--minutes", "0", "--steps", "6"]
    check(Work(command, *words, log=tmp_path / "log"), out, tmp_path / "whole", team)


def learn(start, folder):
    """As a clip is learned before it is tracked; what is held out gets better with every step."""
    first = load_file(start)

    def moved(loss, clips):
        """Better the farther the weights have come, whatever interrupted them on the way."""
        weights = loss.network.state_dict()
        return 1 - 1 / (2 + sum(float((weights[name] - first[name]).abs().sum()) for name in first))

    adapting.mean_iou = moved
    adapting._trips = lambda *arguments: (0.5, 0.7, 0.9)
    adapting.SAVE_SECONDS = 0
    clip = Clip()
    adapted = adapting.adapt(start, clip, {0: clip.truth(0), 5: clip.truth(5)}, folder, Silent(), CONFIG)
    assert adapted.learned


def test_learning_from_a_clip(tmp_path):
    little_weights(tmp_path / "start.safetensors")
    folder = tmp_path / "adapted"
    work = Work(learn, str(tmp_path / "start.safetensors"), folder, log=tmp_path / "log")
    seconds = timed(work)
    whole = folder.rename(tmp_path / "whole")
    for moments in groups(seconds):
        emptied(folder)
        for moment in moments:
            work.kill_after(moment)
        work.finish()
        assert files_of(folder).keys() == files_of(whole).keys()
        (weights,) = whole.glob("*.safetensors")
        assert same_weights(folder / weights.name, weights)


def test_what_killed_runs_left_goes_and_a_living_one_is_not_disturbed(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / f".latest.pt.{'0' * 16}.part").write_bytes(b"half")
    words = [RUNS / "tiny.toml", "--data", make_stills(tmp_path / "stills"), "--out", out, "--steps", "1"]
    with opened(tmp_path / "other"), opened(out):
        (out / f".best.safetensors.{'0' * 16}.part").write_bytes(b"of the living one")
        before = files_of(out)
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words)])
        assert ended.value.code == 2
        assert files_of(out) == before
    main([*map(str, words)])
    assert not [name for name in files_of(out) if is_leftover(name) or "lock" in name]
