from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from little_data import RUNS

from agss_model.config import preset
from agss_model.errors import ConfigError, WeightsError
from agss_model.network import build_network
from agss_model.weights.files import save_weights
from training.loop.optimisation import new_flow, new_network, new_optimizer, parameter_groups, poly
from training.loop.settings import Stage, from_dict, read_run, rehearsal, to_dict
from training.loop.sources import batches
from training.loop.trainer import Trainer

FILES = sorted(path.name for path in RUNS.glob("*.toml"))


def test_all_runs_are_here():
    assert {"lite-cpu.toml", "lite-gpu.toml", "paper.toml", "paper-gpu.toml", "tiny.toml"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_run_file_is_valid_and_survives_json(name):
    run = read_run(RUNS / name)
    assert run.total_steps > 0
    assert from_dict(json.loads(json.dumps(to_dict(run))), name) == run
    small = rehearsal(run)
    assert small.total_steps <= 20
    assert max(stage.shape.width for stage in small.stages) <= 128


def test_the_papers_run_is_the_papers():
    run = read_run(RUNS / "paper.toml")
    shape = run.stages[0].shape
    assert (shape.width, shape.height, shape.frames, shape.batch) == (640, 320, 8, 1)
    assert (run.optimizer, run.lr, run.total_steps) == ("adam", 1e-5, 10 * 3471)
    assert (run.recurrent.cross_entropy, run.ema, run.videos.reference) == (0, 0, "first")
    assert run.flow_lr > 0


def test_settings_can_be_changed_from_the_command_line():
    run = read_run(RUNS / "tiny.toml", ["seed = 3", "recurrent.still_share = 1.0", "network.use_agnostic = false"])
    assert (run.seed, run.recurrent.still_share, run.network) == (3, 1.0, {"use_agnostic": False})
    assert run.stages == read_run(RUNS / "tiny.toml").stages


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps = 3", "steps"),
        ("lr = ", "not valid TOML"),
        ("stages = [{steps = 3, size = 100}]", "multiples of 32"),
        ("stages = [{steps = 3, size = [64, 64, 64]}]", "values to unpack"),
        ("stages = [{steps = 3, frames = 1}]", "2 frames"),
        ("stages = []", "at least one"),
        ("sources = [{kind = 'vimeo'}]", "no source"),
        ("optimizer = 'sgd'", "adamw, adam"),
        ("mixed_precision = 'int8'", "bf16"),
        ("videos.reference = 'last'", "random"),
        ("synthesis.pasted = -1", "at least one"),
    ],
)
def test_a_wrong_setting_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        read_run(RUNS / "tiny.toml", [change])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml"):
        read_run(tmp_path / "none.toml")


def test_stages_follow_each_other():
    run = read_run(RUNS / "tiny.toml")
    assert [run.stage(step).frames for step in (0, 3, 4, 11, 50)] == [2, 2, 3, 3, 3]
    assert Stage(steps=1, size=(64, 96)).shape.shorter == 64


def test_the_rate_rises_and_then_falls_to_nothing():
    run = read_run(RUNS / "tiny.toml", ["warm_up = 4"])
    rates = [poly(step, run) for step in range(run.total_steps)]
    assert rates[0] < rates[1] < rates[2]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert poly(6, dataclasses.replace(run, warm_up=0)) == pytest.approx(0.5**0.9)


def test_groups_hold_every_trained_parameter_once_at_its_rate():
    run = read_run(RUNS / "tiny.toml", ["frozen_blocks = 3", "object_lr = 7e-3", "encoder_lr = 2e-4", "lr = 5e-4"])
    network = new_network(run)
    groups = parameter_groups(network, run)
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(rates)
    for name, parameter in network.named_parameters():
        frozen = name.startswith(("encoder.stem.", *(f"encoder.blocks.{i}." for i in range(3))))
        expected = 2e-4 if name.startswith("encoder.") else 7e-3 if name.startswith(("instance.", "decoder.")) else 5e-4
        assert parameter.requires_grad is not frozen
        assert rates.get(id(parameter)) == (None if frozen else expected)


def test_blocks_of_a_network_without_such_blocks_cannot_be_frozen():
    run = read_run(RUNS / "tiny.toml", ["preset = 'rgmp'", "frozen_blocks = 3"])
    with pytest.raises(ConfigError, match="frozen_blocks"):
        parameter_groups(build_network(preset("rgmp")), run)


def test_parameters_are_frozen_by_the_beginning_of_their_name():
    run = read_run(RUNS / "tiny.toml", ["frozen = ['encoder.', 'log_temperature']"])
    assert from_dict(to_dict(run), "again") == run
    network = new_network(run)
    rates = {id(p) for group in parameter_groups(network, run) for p in group["params"]}
    for name, parameter in network.named_parameters():
        frozen = name.startswith("encoder.") or name == "log_temperature"
        assert parameter.requires_grad is not frozen
        assert (id(parameter) in rates) is not frozen
    with pytest.raises(ConfigError, match=r"'encode_r.*no parameter of lite"):
        parameter_groups(network, dataclasses.replace(run, frozen=("encode_r",)))


def test_a_teacher_needs_features_that_stay():
    settings = ["recurrent.taught = 1.0", "frozen = ['encoder.']"]
    with pytest.raises(ConfigError, match=r"project_key\S+ is trained"):
        Trainer(read_run(RUNS / "tiny.toml", settings), None)
    frozen = "frozen = ['encoder.', 'project_key.', 'target.']"
    trainer = Trainer(read_run(RUNS / "tiny.toml", [settings[0], frozen]), None)
    assert not any(p.requires_grad for p in trainer.loss.teacher.parameters())
    assert trainer.averaged().teacher is None  # what is measured is the network alone


def test_a_run_starts_from_its_seed_or_from_a_file(tmp_path):
    run = read_run(RUNS / "tiny.toml")
    one, two, other = new_network(run), new_network(run), new_network(dataclasses.replace(run, seed=1))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert not torch.equal(one.project_key.weight, other.project_key.weight)
    save_weights(tmp_path / "start.safetensors", other.state_dict(), other.config, {})
    from_file = new_network(dataclasses.replace(run, init=str(tmp_path / "start.safetensors")))
    assert torch.equal(from_file.project_key.weight, other.project_key.weight)


def test_starting_weights_that_do_not_fit_are_refused():
    with pytest.raises(WeightsError, match="imagenet"):
        new_network(read_run(RUNS / "tiny.toml", ["preset = 'rgmp'", "init = 'imagenet'"]))
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        new_network(read_run(RUNS / "tiny.toml", ["init = 'none.safetensors'"]))


def test_an_untrained_published_encoder_neither_swells_nor_fades():
    network = new_network(read_run(RUNS / "tiny.toml", ["preset = 'paper'"]))
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        deep = network.remember(network.encode(picture), torch.zeros(1, 1, 64, 64)).key
    assert 0.05 < deep.std() < 20


def test_the_flow_is_trained_only_where_it_can_be_and_is_told_to():
    run = read_run(RUNS / "tiny.toml", ["network = {flow = 'flownet2c'}"])
    network = build_network(preset("lite"))
    network.config = dataclasses.replace(network.config, flow="flownet2c")
    still, learning = new_flow(run, network), new_flow(dataclasses.replace(run, flow_lr=1e-5), network)
    assert not any(p.requires_grad for p in still.parameters())
    assert all(p.requires_grad for p in learning.parameters())
    rates = [g["lr"] for g in new_optimizer(network, learning, dataclasses.replace(run, flow_lr=1e-5)).param_groups]
    assert rates == [run.lr, run.encoder_lr, 1e-5]
    assert new_flow(run, new_network(read_run(RUNS / "tiny.toml", ["network.use_flow = false"]))) is None


@pytest.mark.parametrize("ahead", [0, 1, 3, 50])
def test_batches_come_in_order_however_many_are_made_ahead(ahead):
    made = []

    def make(step):
        made.append(step)
        return step * 10

    taken = []
    for clips in batches(make, 4, 11, ahead):
        taken.append(clips)
        assert len(made) <= len(taken) + ahead + 1
    assert taken == [step * 10 for step in range(4, 11)]


def test_an_error_while_making_ahead_reaches_the_loop():
    def make(step):
        if step == 2:
            raise WeightsError("no batch")
        return step

    with pytest.raises(WeightsError, match="no batch"):
        list(batches(make, 0, 5, 2))
