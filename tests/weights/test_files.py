"""Safetensors written whole, checked before use; every damaged file says what is wrong with it."""

from __future__ import annotations

import json
import os
import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from agss_model.config import PRESETS, AgssConfig
from agss_model.errors import OutputError, WeightsError
from agss_model.files import sha256_of
from agss_model.weights import files
from agss_model.weights.files import load_into, read_weights, save_weights

STATE = {"weight": torch.arange(12.0).reshape(3, 4), "bias": torch.tensor([1.0, -2.0, 0.5])}


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def saved(tmp_path):
    save_weights(tmp_path / "model.safetensors", STATE, PRESETS["paper"], {"licence": "Apache-2.0"})
    return tmp_path / "model.safetensors"


def header(path):
    """Length and content of a safetensors header."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return length, json.loads(content[8 : 8 + length])


def test_weights_can_be_read_by_whoever_can_read_other_files(tmp_path):
    (tmp_path / "other").touch()
    save_weights(tmp_path / "model.safetensors", STATE, PRESETS["paper"], {})
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_what_was_saved_comes_back(saved):
    tensors, config, metadata = read_weights(saved, sha256_of(saved).upper())
    assert {name: value.tolist() for name, value in tensors.items()} == {n: v.tolist() for n, v in STATE.items()}
    assert config == PRESETS["paper"]
    assert metadata == {"licence": "Apache-2.0"}


def test_the_summary_beside_it_tells_hash_config_and_metadata(saved):
    summary = json.loads(saved.with_suffix(".json").read_text())
    assert summary["sha256"] == sha256_of(saved)
    assert AgssConfig.from_dict(summary["config"]) == PRESETS["paper"]
    assert summary["metadata"] == {"licence": "Apache-2.0"}
    assert sorted(path.name for path in saved.parent.iterdir()) == ["model.json", "model.safetensors"]


def test_same_content_gives_the_same_file(saved, tmp_path):
    other = tmp_path / "again" / "model.safetensors"
    state = dict(reversed(STATE.items()))
    assert save_weights(other, state, PRESETS["paper"], {"licence": "Apache-2.0"}) == sha256_of(saved)


def test_half_precision_on_disk_is_full_precision_in_the_network(tmp_path):
    save_weights(tmp_path / "half.safetensors", STATE, PRESETS["lite"], {}, dtype=torch.float16)
    tensors, _, _ = read_weights(tmp_path / "half.safetensors")
    assert tensors["weight"].dtype == torch.float16
    network = nn.Linear(4, 3)
    load_into(network, tensors)
    assert network.weight.dtype == torch.float32
    assert torch.equal(network.weight, STATE["weight"])


def test_tensors_that_share_memory_or_are_views_are_saved(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    save_weights(tmp_path / "views.safetensors", {"a": base, "b": base, "c": base.t()}, PRESETS["lite"], {})
    tensors, _, _ = read_weights(tmp_path / "views.safetensors")
    assert torch.equal(tensors["b"], base)
    assert torch.equal(tensors["c"], base.t())


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), None), (1e6, torch.float16)])
def test_numbers_that_are_not_finite_are_not_saved(tmp_path, value, dtype):
    with pytest.raises(WeightsError, match="infinite or not a number"):
        save_weights(tmp_path / "bad.safetensors", {"x": torch.tensor([value])}, PRESETS["lite"], {}, dtype)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"Cannot write .*model\.safetensors"):
        save_weights(tmp_path / "file" / "model.safetensors", STATE, PRESETS["lite"], {})
    with pytest.raises(OutputError, match=r"does not end in \.safetensors"):
        save_weights(tmp_path / "model.pth", STATE, PRESETS["lite"], {})


def test_a_failed_write_leaves_the_earlier_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        save_weights(saved, {"x": torch.ones(1)}, PRESETS["lite"], {})
    assert saved.read_bytes() == before
    assert sorted(path.name for path in saved.parent.iterdir()) == ["model.json", "model.safetensors"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights file .*nothing\.safetensors"):
        read_weights(tmp_path / "nothing.safetensors")
    with pytest.raises(WeightsError, match="no weights file"):
        read_weights(tmp_path)


def test_another_hash_is_refused_before_anything_is_parsed(saved, monkeypatch):
    monkeypatch.setattr(files, "safe_open", lambda *_, **__: pytest.fail("the file was parsed"))
    with pytest.raises(WeightsError, match=f"SHA-256 {sha256_of(saved)}, expected {'0' * 64}"):
        read_weights(saved, "0" * 64)


def test_a_file_above_the_limit_is_refused(saved, monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    with pytest.raises(WeightsError, match=r"has \d+ bytes; weights have at most 100"):
        read_weights(saved)


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, kept):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(WeightsError, match="damaged"):
        read_weights(saved)


def test_every_changed_byte_is_noticed(saved):
    content = saved.read_bytes()
    length, _ = header(saved)
    content_start = 8 + length
    for position in [*range(0, content_start, 5), *range(content_start, len(content))]:
        damaged = bytearray(content)
        damaged[position] ^= 0x11
        saved.write_bytes(damaged)
        with pytest.raises(WeightsError):
            read_weights(saved)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_disguised_as_safetensors_is_refused_and_not_run(tmp_path, zipped):
    disguised = tmp_path / "model.safetensors"
    payload = {"x": Payload(tmp_path / "executed")}
    torch.save(payload, disguised, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="pickled PyTorch checkpoint"):
        read_weights(disguised)
    disguised.write_bytes(pickle.dumps(payload))
    with pytest.raises(WeightsError, match="pickled PyTorch checkpoint"):
        read_weights(disguised)
    assert not (tmp_path / "executed").exists()


def test_any_other_file_is_refused(tmp_path):
    path = tmp_path / "picture.safetensors"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_weights(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "carries no configuration"),
        ("{", "cannot be used"),
        ("[1, 2]", "cannot be used"),
        ('{"colour": "blue"}', "Unknown setting colour"),
        ('{"architecture": "huge"}', "architecture is 'huge'"),
        ('{"max_side": "large"}', "max_side is 'large'"),
        ('{"width": 3}', "cannot be used"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(tmp_path, config, message):
    path = tmp_path / "model.safetensors"
    record = f'{{"config": {config}, "metadata": {{}}, "checksum": ""}}'
    save_file(STATE, path, metadata={} if config is None else {"agss": record})
    with pytest.raises(WeightsError, match=message):
        read_weights(path)


def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path):
    path = tmp_path / "model.safetensors"
    for padding in range(256):  # until the first byte of the length is that of a pickle
        save_weights(path, STATE, PRESETS["lite"], {"note": "x" * padding})
        if path.read_bytes()[:1] == b"\x80":
            break
    assert path.read_bytes()[:1] == b"\x80"
    assert read_weights(path)[2] == {"note": "x" * padding}


def test_loading_names_what_does_not_fit_and_changes_nothing():
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = {**before, "0.weight": torch.zeros(4, 3), "1.bias": torch.zeros(2, dtype=torch.int64)}
    state["extra"] = state.pop("0.bias")
    with pytest.raises(WeightsError) as caught:
        load_into(network, state)
    message = str(caught.value)
    assert "1 missing: 0.bias" in message
    assert "1 unexpected: extra" in message
    assert "2 unusable: 0.weight (has shape (4, 3), should be (3, 4)), 1.bias (holds torch.int64" in message
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_loading_refuses_numbers_that_are_not_finite():
    with pytest.raises(WeightsError, match=r"weight \(holds infinite values or NaN\)"):
        load_into(nn.Linear(4, 3), {**STATE, "weight": torch.full((3, 4), float("nan"))})


def test_long_lists_of_names_are_cut_with_the_count_given():
    with pytest.raises(WeightsError) as caught:
        load_into(nn.Linear(4, 3), {**STATE, **{f"extra.{n:03}": torch.zeros(1) for n in range(50)}})
    message = str(caught.value)
    assert "50 unexpected: extra.000, " in message
    assert message.count("extra.") == 20
    assert message.endswith("extra.019 and 30 more")
