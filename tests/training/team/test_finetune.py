from __future__ import annotations

import json
import signal

import pytest
import torch
from little_data import make_stills
from processes import start_python, wait_for_steps
from safetensors.torch import load_file
from team_data import little_weights, write_export
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.errors import ConfigError, WeightsError
from agss_model.weights.bundles import current_version, find_bundle
from agss_model.weights.registry import load_model
from training.annotations.catalog import open_catalog
from training.annotations.prepare import prepare
from training.loop.checkpoints import LATEST
from training.team import finetune, publish
from training.team.finetune import FinetuneOptions, plan
from training.train import Options, train


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """Three videos, weights to begin with, and some other photographs."""
    root = tmp_path_factory.mktemp("team")
    for n in range(3):
        write_export(root / f"s{n}", name=f"v{n}", seed=n)
    make_stills(root / "stills")
    little_weights(root / "start.safetensors")
    return root


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("AGSS_WEIGHTS_DIR", str(tmp_path / "store"))


def prepared_in(out, team, hold_out=("v1",)):
    sources = [str(team / f"s{n}") for n in range(3)]
    return prepare(lambda: open_catalog(sources), out / "data", {}, hold_out=hold_out, say=lambda text: None)


def wishes(team, **more):
    return FinetuneOptions(**{"weights": str(team / "start.safetensors"), "steps": 6, "minutes": 0, "size": 64} | more)


def run_it(out, team, steps=0, **more):
    made = plan(prepared_in(out, team), out, wishes(team, **more))
    options = Options(data=out, out=out, validate_every=made.validate_every, steps=steps, log_seconds=0)
    return made, train(made.run, options)


def finetune_command(out, team, *more):
    sources = [str(team / f"s{n}") for n in range(3)]
    start = ["--weights", str(team / "start.safetensors"), "--size", "64", "--minutes", "0", "--threads", "1"]
    return ["finetune", *sources, "--out", str(out), "--hold-out", "v1", *start, *more]


@pytest.mark.slow
def test_the_plan_says_what_will_happen_before_it_does(team, tmp_path):
    prepared = prepared_in(tmp_path, team)
    made = plan(prepared, tmp_path, wishes(team, stills=team / "stills", steps=0, minutes=15))
    text = "\n".join(finetune.as_text(made, prepared))
    assert "8 annotated frames of v0, v2" in text
    assert "held out for the gate: 4 annotated frames of v1" in text
    assert "minutes at most on this machine" in text
    assert made.seconds > 0
    assert [source.kind for source in made.run.sources] == ["sparse", "stills", "stills"]
    assert plan(prepared, tmp_path, wishes(team, steps=99)).run == made.run
    (tmp_path / "finetune.json").write_text("{")
    with pytest.raises(ConfigError, match=r"finetune\.json is damaged"):
        plan(prepared, tmp_path, wishes(team))


def test_steps_are_cut_to_the_time_there_is(team, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "_timed", lambda run, out: {"start": 20.0, "step": 2.0})
    prepared = prepared_in(tmp_path, team)
    for name in "abc":
        (tmp_path / name).mkdir()
    assert plan(prepared, tmp_path / "a", wishes(team, steps=0, minutes=3)).run.total_steps == 80
    assert plan(prepared, tmp_path / "b", wishes(team, steps=0, minutes=60)).run.total_steps == 120
    (tmp_path / "d").mkdir()
    assert plan(prepared, tmp_path / "d", wishes(team, kept=0.75)).run.kept == 0.75
    assert plan(prepared, tmp_path / "c", wishes(team, steps=300, minutes=1)).run.total_steps == 300


def test_what_features_are_made_of_stays_and_the_first_weights_teach(team, tmp_path):
    run_it(tmp_path, team)
    before, after = load_file(team / "start.safetensors"), load_file(tmp_path / "latest.safetensors")
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed
    assert not [name for name in changed if name.startswith(("encoder.", "project_key.", "log_temperature"))]
    assert json.loads((tmp_path / "finetune.json").read_text())["run"]["recurrent"]["taught"] > 0


@pytest.mark.slow
def test_a_run_that_is_interrupted_ends_with_the_same_weights(team, tmp_path):
    run_it(tmp_path / "whole", team)
    run_it(tmp_path / "parts", team, steps=3)
    _, trainer = run_it(tmp_path / "parts", team)
    assert trainer.step == 6
    one, two = (load_file(tmp_path / name / "latest.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_a_run_ends_when_validation_no_longer_improves(team, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune, "_validate_every", lambda steps: 1)
    monkeypatch.setattr("training.train.mean_iou", lambda loss, clips: 0.5)
    made, trainer = run_it(tmp_path, team, steps=0)
    assert made.run.patience == 5
    assert (trainer.step, trainer.best_step) == (5, 0)
    _, again = run_it(tmp_path, team)
    assert again.step == 5
    with pytest.raises(publish.RefusedError, match="nothing learned"):
        publish.candidate(tmp_path)


def test_what_is_no_run_or_no_photographs_is_said_before_anything_is_read(team, tmp_path):
    with pytest.raises(WeightsError, match=r"no folder of agss finetune: there is no finetune\.json"):
        publish.candidate(tmp_path)
    (tmp_path / "finetune.json").write_text("{")
    with pytest.raises(WeightsError, match=r"finetune\.json is damaged"):
        publish.candidate(tmp_path)
    done = CliRunner().invoke(app, finetune_command(tmp_path / "run", team, "--stills", str(tmp_path / "none")))
    assert done.exit_code == 2
    assert "is no folder of photographs" in " ".join(done.output.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_from_annotations_to_published_weights_and_back(team, tmp_path, store, monkeypatch):
    run, out = CliRunner().invoke, tmp_path / "run"
    scores = iter(n / 100 for n in range(50))
    monkeypatch.setattr("training.train.mean_iou", lambda loss, clips: next(scores))
    done = run(app, finetune_command(out, team, "--steps", "10", "--stills", str(team / "stills")))
    assert done.exit_code == 0, done.output
    assert "agss publish" in done.output
    for version in (1, 2):
        monkeypatch.setattr("training.team.gate._complaints", lambda found, rules: [])
        monkeypatch.setattr("training.team.gate._better", lambda found, rules: True)
        done = run(app, ["publish", str(out), "--name", "team", "--general", "none"])
        assert done.exit_code == 0, done.output
        assert current_version("team") == version
    bundle = find_bundle("team")
    assert {"weights.safetensors", "config.json", "card.md", "gate.json", "gate.html"} <= set(bundle.files)
    card = (bundle.folder / "card.md").read_text()
    for fact in (bundle.files["weights.safetensors"], "start.safetensors", "| v1 |", "10 of 10"):
        assert fact in card
    assert str(tmp_path) not in card
    assert str(team) not in card
    assert json.loads((bundle.folder / "gate.json").read_text())["new"]["sha256"] == bundle.files["weights.safetensors"]
    load_model("team")
    monkeypatch.setattr("training.team.gate._complaints", lambda found, rules: ["worse on v1"])
    (out / "gate.json").unlink()
    refused = run(app, ["publish", str(out), "--name", "team", "--general", "none"])
    assert refused.exit_code == 3
    assert "worse on v1" in refused.output
    monkeypatch.setattr("training.team.gate._complaints", lambda found, rules: [])
    monkeypatch.setattr("training.team.gate._better", lambda found, rules: False)
    (out / "gate.json").unlink()
    same = run(app, ["publish", str(out), "--name", "team", "--general", "none"])
    assert same.exit_code == 3
    assert "Nothing learned" in same.output
    assert current_version("team") == 2
    assert run(app, ["publish", str(out), "--name", "lite"]).exit_code == 2
    assert run(app, ["publish", str(tmp_path), "--name", "team"]).exit_code == 2
    assert run(app, ["weights", "rollback", "team"]).exit_code == 0
    assert current_version("team") == 1


@pytest.mark.slow
def test_ctrl_c_ends_after_a_step_and_the_same_command_goes_on(team, tmp_path):
    out = tmp_path / "run"
    command = finetune_command(out, team, "--steps", "400")
    process = start_python("-m", "agss_model", *command)
    wait_for_steps(process, out, 1)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 0, output
    assert "goes on from there" in output
    before = torch.load(out / LATEST, weights_only=True)["step"]
    assert 0 < before < 400
    other = CliRunner().invoke(app, finetune_command(out, team, "--seed", "9"))
    assert other.exit_code == 2
    assert "holds another run" in " ".join(other.output.split())
