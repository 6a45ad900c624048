from __future__ import annotations

import json

import pytest
import torch
from little_data import RUNS, make_stills
from safetensors.torch import load_file

from agss_model.errors import OutputError, WeightsError
from agss_model.files import sha256_of
from agss_model.weights import registry
from training import train
from training.loop.settings import read_run
from training.release import publish_weights
from training.release.publish_weights import publish


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data = make_stills(tmp_path_factory.mktemp("stills"))
    train.train(read_run(RUNS / "tiny.toml"), train.Options(data=data, out=folder, steps=3, validate_every=3))
    return folder


@pytest.fixture
def scores(tmp_path):
    row = {"J": 0.5, "F": 0.7, "JF": 0.6}
    found = {
        "mean": row, "sequences": {"swan": {**row, "objects": 1}}, "seconds_per_frame": 0.25,
        "machine": {"cpu": "a processor", "threads": 2},
    }  # fmt: skip
    path = tmp_path / "eval.json"
    path.write_text(json.dumps(found))
    return path


def test_published_weights_are_loaded_by_their_name(run, tmp_path, monkeypatch):
    folder = tmp_path / "shipped"
    done = publish(run, "lite", folder=folder)
    assert done.sha256 == sha256_of(done.weights)
    assert done.weights.stat().st_size < 4_000_000
    assert {v.dtype for v in load_file(done.weights).values()} == {torch.float16}
    listed = registry.shipped_models
    monkeypatch.setattr(registry, "shipped_models", lambda: listed(folder))
    network = registry.load_model("lite")
    trained = load_file(run / "best.safetensors")
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.allclose(value, trained[name], rtol=1e-3, atol=1e-6)


def test_the_card_says_where_the_weights_come_from(run, tmp_path, scores):
    done = publish(run, "lite", folder=tmp_path / "shipped", scores={"davis2016": scores})
    card = done.card.read_text()
    for fact in (done.sha256, "| blobs | 4 |", "3 of 12", "0.600", "swan", "a processor", "64x64", torch.__version__):
        assert fact in card
    assert str(tmp_path) not in card


def test_other_entries_of_the_index_stay(run, tmp_path):
    one, two = publish(run, "lite", folder=tmp_path), publish(run, "other", choice="latest", folder=tmp_path)
    assert json.loads((tmp_path / "index.json").read_text()) == {
        "lite": {"file": "lite.safetensors", "sha256": one.sha256},
        "other": {"file": "other.safetensors", "sha256": two.sha256},
    }


def test_weights_that_are_too_large_or_have_no_records_are_not_shipped(run, tmp_path, monkeypatch):
    folder = tmp_path / "shipped"
    with monkeypatch.context() as patch:
        patch.setattr(publish_weights, "MAX_BYTES", 1_000_000)
        with pytest.raises(OutputError, match="at most 1 MB"):
            publish(run, "lite", folder=folder)
    with pytest.raises(WeightsError, match="no weights file"):
        publish(tmp_path, "lite", folder=folder)
    (tmp_path / "best.safetensors").write_bytes((run / "best.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="resuming the run once"):
        publish(tmp_path, "lite", folder=folder)
    with pytest.raises(OutputError, match="no name"):
        publish(run, "../lite", folder=folder)
    assert not folder.exists()


def test_a_file_that_holds_no_scores_is_named(run, tmp_path, capsys):
    (tmp_path / "eval.json").write_text("[]")
    with pytest.raises(SystemExit, match=r"eval\.json is not a file of scores"):
        publish_weights.main([str(run), "--folder", str(tmp_path), "--scores", f"davis={tmp_path / 'eval.json'}"])
    publish_weights.main([str(run), "--folder", str(tmp_path)])
    assert "SHA-256" in capsys.readouterr().out
