from __future__ import annotations

import dataclasses
import json
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from little_data import REPOSITORY, RUNS, make_stills, make_videos
from processes import start_python, wait_for_steps
from safetensors.torch import load_file

from agss_model.errors import AgssError, ConfigError, MediaError, OutputError, WeightsError
from agss_model.evaluation import region_similarity
from agss_model.network.lite.model import LiteAGSSVOS
from agss_model.weights.registry import load_model
from training import train
from training.data.clips import ClipShape
from training.data.stills import load_stills
from training.loop import checkpoints
from training.loop.monitor import Monitor, hours_in
from training.loop.optimisation import new_network
from training.loop.settings import read_run, rehearsal
from training.loop.trainer import Trainer
from training.synthesis.scenes import StillClips, SynthesisConfig

TINY = RUNS / "tiny.toml"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_stills(tmp_path_factory.mktemp("stills"), count=6)


def go(data, out, *changes, **options):
    options = {"log_seconds": 0, "validate_every": 0} | options
    return train.train(read_run(TINY, changes), train.Options(data=data, out=out, **options))


def rows(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def losses(out):
    return [(row["step"], row["loss"], row["iou"]) for row in rows(out) if "loss" in row]


def assert_same_weights(one, two):
    ours, theirs = load_file(one / "latest.safetensors"), load_file(two / "latest.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def start(data, out, *more):
    command = ["-m", "training.train", str(TINY), "--data", str(data), "--out", str(out)]
    return start_python(
        *command, "--log-seconds", "0", "--save-seconds", "0", "--validate-every", "5", "--threads", "1", *more
    )


def test_a_run_writes_what_it_promises(data, tmp_path):
    trainer = go(data, tmp_path, validate_every=6, images=True)
    assert trainer.step == trainer.run.total_steps == 12
    assert [step for step, _, _ in losses(tmp_path)] == list(range(1, 13))
    assert [row["validation"]["iou"] for row in rows(tmp_path) if "validation" in row] == pytest.approx(
        [trainer.best] * 2, abs=1
    )
    assert isinstance(load_model(tmp_path / "best.safetensors"), LiteAGSSVOS)
    assert isinstance(load_model(tmp_path / "latest.safetensors"), LiteAGSSVOS)
    about = json.loads((tmp_path / "provenance.json").read_text())
    assert about["data"] == {"blobs": 4}  # two are held out
    assert about["versions"]["torch"] == torch.__version__
    assert list((tmp_path / "tensorboard").iterdir())
    assert hours_in(tmp_path / "log.jsonl") > 0
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_training_twice_from_one_seed_gives_the_same_weights_and_another_seed_others(data, tmp_path):
    one, two, other = tmp_path / "one", tmp_path / "two", tmp_path / "other"
    go(data, one, steps=4)
    go(data, two, steps=4)
    go(data, other, "seed = 1", steps=4)
    assert losses(one) == losses(two) != losses(other)
    assert_same_weights(one, two)


def test_a_run_in_parts_equals_one_in_a_piece_also_when_batches_are_made_ahead(data, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    go(data, whole, steps=6, validate_every=3)
    for steps in (2, 3, 6):
        go(data, parts, "prefetch = 2", steps=steps, validate_every=3)
    assert losses(parts) == losses(whole)
    assert_same_weights(parts, whole)


def test_a_share_of_the_first_weights_stays_in_the_averaged_ones_also_after_resuming(data, tmp_path):
    changes = ("kept = 0.25", "ema = 0.0")
    first = new_network(read_run(TINY, changes)).state_dict()
    go(data, tmp_path, *changes, steps=2)
    trainer = go(data, tmp_path, *changes, steps=4)
    moved = 0.0
    for name, last in trainer.network.state_dict().items():
        if last.is_floating_point():
            kept = 0.75 * last + 0.25 * first[name]
            assert torch.allclose(trainer.average.state_dict()[name], kept, atol=1e-6)
            moved = max(moved, float((last - first[name]).abs().max()))
    assert moved > 1e-4
    with pytest.raises(ConfigError, match=r"kept = 1\.0 is no share"):
        read_run(TINY, ["kept = 1.0"])


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_losses_and_weights(data, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    process = start(data, straight)
    assert process.wait(120) == 0, process.stdout.read()
    process = start(data, killed)
    wait_for_steps(process, killed, 5)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert len(losses(killed)) < 12
    process = start(data, killed)
    assert process.wait(120) == 0, process.stdout.read()
    assert losses(killed) == losses(straight)
    assert_same_weights(killed, straight)
    scores = [[row for row in rows(out) if "validation" in row] for out in (killed, straight)]
    assert scores[0] == scores[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_saves_and_ends_cleanly(data, tmp_path, number):
    process = start(data, tmp_path, "--set", "stages = [{steps = 100000, batch = 1, size = 64, frames = 2}]")
    wait_for_steps(process, tmp_path, 3)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0, output
    assert "goes on from there" in output
    saved = torch.load(tmp_path / "latest.pt", weights_only=True)["step"]
    assert saved == losses(tmp_path)[-1][0]


@pytest.mark.slow
def test_two_processes_train_one_network_and_only_one_of_them_writes(data, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    command += ["training.train", str(TINY), "--data", str(data), "--out", str(tmp_path), "--log-seconds", "0"]
    command += ["--steps", "4", "--validate-every", "0", "--set", "network.use_agnostic = false"]  # an unused module
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "provenance.json").read_text())["machine"]["processes"] == 2
    assert [step for step, _, _ in losses(tmp_path)] == [1, 2, 3, 4]


def test_a_line_cut_by_a_kill_and_steps_after_the_checkpoint_leave_the_log(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "s": 2.0}\n{"step": 3, "s": 4.0}\n{"step": 5, "s"')
    assert hours_in(log) == pytest.approx((2 + 2 * 4) / 3600)
    with Monitor(tmp_path, step=2, total=9, seconds=0) as monitor:
        monitor.step(3, 0.5, 0.25, 1e-3)
    assert [row["step"] for row in rows(tmp_path)] == [1, 3]
    assert rows(tmp_path)[1]["loss"] == 0.5


def test_a_loss_that_is_no_number_stops_with_the_batch_saved_and_the_checkpoint_unharmed(data, tmp_path):
    go(data, tmp_path, steps=2)
    before = (tmp_path / "latest.pt").read_bytes()
    with pytest.raises(AgssError, match=r"became (nan|inf) at step \d+.*nan_batch") as stopped:
        go(data, tmp_path, "lr = 1e30", "encoder_lr = 1e30")
    assert "last checkpoint is unharmed" in str(stopped.value)
    assert (tmp_path / "latest.pt").read_bytes() == before
    assert load_file(tmp_path / "nan_batch.safetensors")["frames"].ndim == 5
    assert go(data, tmp_path, steps=3).step == 3


def test_a_gradient_that_is_no_number_leaves_the_weights_alone(data, tmp_path):
    run = read_run(TINY)
    trainer = Trainer(run, StillClips(load_stills(data, size=96), run.synthesis))
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.network.project_key.weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(AgssError, match="gradient became nan at step 0"):
        trainer.train_step(trainer.batch(0))
    assert all(torch.equal(value, before[name]) for name, value in trainer.network.state_dict().items())


class Full:
    """While inside, files of this process cannot grow beyond some bytes, as on a full disk."""

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, self.before[1]))

    def __exit__(self, *error):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def test_a_disk_that_fills_up_breaks_no_checkpoint(data, tmp_path, capsys):
    trainer = go(data, tmp_path, steps=2, validate_every=2)
    names = ("latest.pt", "latest.safetensors", "best.safetensors")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    with Full(), pytest.raises(OutputError, match="free some space"):
        checkpoints.save(trainer, tmp_path)
    with Full(), pytest.raises(OutputError, match="free some space"):
        checkpoints.export(trainer, tmp_path, "best")
    with Full(), pytest.raises(OutputError):
        go(data, tmp_path, steps=4, save_seconds=0)
    assert "warning" in capsys.readouterr().out  # once for each attempt in between; only the last one is an error
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]
    assert go(data, tmp_path, steps=3).step == 3


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_a_checkpoint_of_something_else_is_not_continued(data, tmp_path, content):
    if content is None:
        torch.save({"step": 3, "network": {}}, tmp_path / "latest.pt")
    else:
        (tmp_path / "latest.pt").write_bytes(content)
    before = (tmp_path / "latest.pt").read_bytes()
    with pytest.raises(WeightsError, match="does not continue this run"):
        go(data, tmp_path, steps=1)
    assert (tmp_path / "latest.pt").read_bytes() == before


def test_missing_data_and_a_folder_that_cannot_be_made_are_named(data, tmp_path):
    with pytest.raises(MediaError, match="No usable still"):
        go(tmp_path, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        go(data, tmp_path / "file" / "out")


def test_the_command_line_prints_one_line_for_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        train.main([str(TINY), "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--set", "speed = 3"])
    assert ended.value.code == 2
    assert "speed" in capsys.readouterr().err


def test_frozen_blocks_stay_as_they_are_and_the_average_follows_the_weights(data, tmp_path):
    start_of = Trainer(read_run(TINY), None).network.state_dict()
    trainer = go(data, tmp_path, "frozen_blocks = 3", steps=4)
    changed = {name for name, value in trainer.network.state_dict().items() if not torch.equal(value, start_of[name])}
    assert "encoder.blocks.2.project.weight" not in changed
    assert {"encoder.blocks.3.project.weight", "decoder.predict.weight"} <= changed
    between = trainer.average.state_dict()["decoder.predict.weight"]
    ends = (start_of["decoder.predict.weight"], trainer.network.state_dict()["decoder.predict.weight"])
    assert (between - ends[0]).abs().sum() > 0
    assert (between - ends[1]).abs().sum() < (ends[0] - ends[1]).abs().sum()
    plain = go(data, tmp_path / "plain", "ema = 0", steps=2)
    assert all(torch.equal(v, plain.network.state_dict()[k]) for k, v in plain.average.state_dict().items())


def test_j_and_f_is_measured_but_not_used(data, tmp_path):
    videos = make_videos(tmp_path / "annotated", ["a", "b"], frames=4, size=(64, 96), objects=1)
    trainer = go(data, tmp_path / "run", steps=2, eval_data=videos, eval_every=2, eval_sequences=["b"])
    (scores,) = [row["J&F"] for row in rows(tmp_path / "run") if "J&F" in row]
    assert scores.keys() == {"b", "mean"}
    assert 0 <= scores["mean"] <= 1
    assert trainer.best == float("-inf")


def test_flow_ahead_of_the_step_changes_no_loss(data, tmp_path):
    go(data, tmp_path / "in", steps=2)
    go(data, tmp_path / "ahead", "flow_threads = 2", "prefetch = 1", steps=2)
    assert np.allclose(losses(tmp_path / "in"), losses(tmp_path / "ahead"), atol=1e-5)


@pytest.mark.slow
def test_the_papers_run_goes_through_in_small(tmp_path):
    make_videos(tmp_path / "youtube_vos", ["a", "b", "c"], frames=12)
    run = rehearsal(read_run(RUNS / "paper.toml"), steps=2)
    trainer = train.train(run, train.Options(data=tmp_path, out=tmp_path / "out", log_seconds=0, validate_every=0))
    assert trainer.step == 2
    assert (tmp_path / "out" / "latest-flow.safetensors").exists()
    resumed = train.train(run, train.Options(data=tmp_path, out=tmp_path / "out", validate_every=0))
    assert resumed.step == 2
    moved = trainer.flow.state_dict()
    assert all(torch.equal(value, moved[name]) for name, value in resumed.flow.state_dict().items())


def test_batches_that_are_added_up_make_one_step_by_their_mean_gradient(data):
    source = StillClips(load_stills(data, size=96), SynthesisConfig())
    alone = Trainer(read_run(TINY, ["clip_norm = 0"]), source)
    gradients = []
    for number in range(3):
        alone._gradient(*alone.batch(number), number, 1.0)
        gradients.append({name: p.grad.clone() for name, p in alone.network.named_parameters() if p.grad is not None})
        alone.optimizer.zero_grad()
    together = Trainer(read_run(TINY, ["clip_norm = 0", "accumulate = 3"]), source)
    stepped = {}
    together.optimizer.step = lambda: stepped.update(
        {name: p.grad.clone() for name, p in together.network.named_parameters() if p.grad is not None}
    )
    together.train_step(together.batch(0))
    assert together.step == 1
    assert set(stepped) == set().union(*gradients)
    for name, gradient in stepped.items():
        mean = sum(g[name] for g in gradients if name in g) / 3
        assert torch.allclose(gradient, mean, rtol=1e-4, atol=1e-6), name


def test_no_batch_at_all_is_no_step():
    with pytest.raises(AgssError, match="accumulate = 0"):
        read_run(TINY, ["accumulate = 0"])


@pytest.mark.slow
def test_one_clip_can_be_learned_by_heart(data):
    run = read_run(
        TINY,
        ["lr = 1e-3", "encoder_lr = 1e-3", "stages = [{steps = 240, batch = 1, size = 96, frames = 3}]", "ema = 0",
         "recurrent.still_share = 1.0", "weight_decay = 0"],
    )  # fmt: skip
    source = StillClips(load_stills(data, size=96), SynthesisConfig(own=1, pasted=1, untracked=0, away=0, speed=0.05))
    shape = ClipShape(batch=1, frames=3, height=96, width=96)
    clips = next(c for c in (source.sample(shape, seed) for seed in range(50)) if c.masks.shape[2] == 2
                 and (c.entry == 0).all() and c.masks.mean((-2, -1)).min() > 0.05)  # fmt: skip
    trainer = Trainer(run, source)
    for _ in range(run.total_steps):
        trainer.train_step([clips])
    with torch.no_grad():
        predicted = dict(trainer.averaged().track(clips, 0))
    scores = [
        region_similarity((masks[0, n] > 0.5).numpy(), (clips.masks[0, t, n] > 0.5).numpy())
        for t, masks in predicted.items()
        for n in range(2)
    ]
    assert np.mean(scores) > 0.95


def test_options_change_no_setting_of_the_run():
    assert not {f.name for f in dataclasses.fields(train.Options)} & {
        f.name for f in dataclasses.fields(type(read_run(TINY)))
    }
