from __future__ import annotations

import json

import pytest
import torch


def test_list_names_what_can_always_be_used(agss):
    result = agss("weights", "list")
    assert result.exit_code == 0
    assert "propagation" in result.stdout


def test_show_tells_settings_and_origin(agss, tiny_weights):
    content = json.loads(agss("weights", "show", tiny_weights).stdout)
    assert content["config"]["architecture"] == "lite"
    assert content["metadata"]["note"] == "untrained"
    assert content["numbers"] > 1e6


def test_verify_accepts_whole_files_and_refuses_damaged_ones(agss, tiny_weights):
    assert agss("weights", "verify", tiny_weights).exit_code == 0
    data = bytearray(tiny_weights.read_bytes())
    data[len(data) // 2] ^= 1
    tiny_weights.write_bytes(bytes(data))
    refused = agss("weights", "verify", tiny_weights)
    assert refused.exit_code == 2
    assert "damaged" in refused.stderr


def test_verify_without_a_name_checks_everything_shipped(agss):
    assert agss("weights", "verify").exit_code == 0


def test_import_turns_a_published_flow_network_into_safetensors(agss, tmp_path):
    from agss_model.flow import FlowNet2C

    torch.save({"state_dict": FlowNet2C().state_dict()}, tmp_path / "flow.pth.tar")
    out = tmp_path / "flow.safetensors"
    result = agss("weights", "import", tmp_path / "flow.pth.tar", "--out", out)
    assert result.exit_code == 0, result.output
    assert "flownet2c" in result.stdout
    before = out.read_bytes()
    again = agss("weights", "import", tmp_path / "flow.pth.tar", "--out", out)
    assert again.exit_code == 2
    assert "exists" in again.stderr
    assert out.read_bytes() == before
    assert agss("weights", "verify", out).exit_code == 0


@pytest.mark.parametrize("kind", ["text", "other tensors"])
def test_import_refuses_other_files(agss, tmp_path, kind):
    path = tmp_path / "model.pth"
    if kind == "text":
        path.write_text("no checkpoint")
    else:
        torch.save({"fc.weight": torch.zeros(2)}, path)
    result = agss("weights", "import", path)
    assert result.exit_code == 2
    assert "model.pth" in result.stderr
    assert not (tmp_path / "model.safetensors").exists()
