"""Checkpoints that cannot be imported: what is wrong is said, nothing is run, nothing is written."""

from __future__ import annotations

import pickle

import pytest
import torch
from published_format import rgmp_shapes, seg_shapes

from agss_model.errors import OutputError, WeightsError
from agss_model.flow.flownet2 import FlowNet2C
from agss_model.weights import importer
from agss_model.weights.files import read_weights
from agss_model.weights.importer import import_checkpoint
from agss_model.weights.registry import load_model


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def hollow(shapes, prefix="module."):
    """Tensors of the right shapes that take one number each, in memory and in the file."""
    return {prefix + name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


def flow_shapes():
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in FlowNet2C().state_dict().items()}


def refused(tmp_path, content, message, **options):
    """Import a checkpoint that must fail, and return the whole message."""
    torch.save(content, tmp_path / "checkpoint.pth")
    with pytest.raises(WeightsError, match=message) as caught:
        import_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "out.safetensors", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pth"]
    return str(caught.value)


def test_every_missing_unexpected_and_misshaped_tensor_is_named_as_published(tmp_path):
    shapes = seg_shapes()
    missing = [name for name in shapes if name.startswith("Encoder.res5.")]
    for name in missing:
        del shapes[name]
    shapes["Decoder.pred2.bias"] = (3,)
    shapes["Encoder.res6.weight"] = (1,)
    message = refused(tmp_path, {"seg": hollow(shapes)}, "not a complete agss-vos checkpoint")
    assert f"{len(missing)} missing: " in message
    assert len(missing) > 20
    assert all(name in message for name in missing)
    assert "1 unexpected: Encoder.res6.weight" in message
    assert "1 unusable: Decoder.pred2.bias (has shape (3,), should be (2,))" in message


def test_seg_without_the_attention_branch_is_an_incomplete_agss_vos(tmp_path):
    shapes = {name: shape for name, shape in seg_shapes().items() if ".atn." not in name}
    message = refused(tmp_path, {"seg": hollow(shapes)}, "not a complete agss-vos checkpoint")
    assert "6 missing: Encoder.atn.0.bias" in message


def test_a_damaged_flow_part_keeps_the_segmentation_part_from_being_written(tmp_path):
    flow = hollow(flow_shapes(), prefix="")
    del flow["conv1.0.weight"]
    message = refused(tmp_path, {"seg": hollow(seg_shapes()), "flow": flow}, "not a complete flownet2c checkpoint")
    assert "1 missing: conv1.0.weight" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"layer1.0.conv1.weight": torch.zeros(1), "fc.bias": torch.zeros(1)}, "layer1.0.conv1.weight, fc.bias"),
        ({"seg": {"backbone.stem": torch.zeros(1)}}, "something else; it starts with: backbone.stem"),
        ({"epoch": 3, "state_dict": {}}, "something else; it starts with: no names"),
        ({}, "something else"),
        ([torch.zeros(1)], "holds a list"),
        (torch.zeros(3), "holds a Tensor"),
    ],
)
def test_a_checkpoint_of_something_else_says_what_was_found_and_what_is_understood(tmp_path, content, message):
    text = refused(tmp_path, content, message)
    assert "Understood are published checkpoints of AGSS-VOS, RGMP, FlowNet2 and FlowNet2-C." in text


def test_a_checkpoint_of_another_kind_than_asked_for_is_refused(tmp_path):
    refused(tmp_path, hollow(rgmp_shapes()), "looks like rgmp, not agss-vos", kind="agss-vos")
    (tmp_path / "checkpoint.pth").unlink()
    refused(tmp_path, hollow(rgmp_shapes()), "No kind of checkpoint is called 'stm'", kind="stm")


def test_another_normalisation_of_the_image_is_refused(tmp_path):
    state = {**hollow(rgmp_shapes()), "module.Encoder.mean": torch.tensor([0.5, 0.5, 0.5])}
    refused(tmp_path, state, r"Encoder.mean is \[0.5, 0.5, 0.5\]")


def test_infinite_weights_are_refused(tmp_path):
    state = hollow(rgmp_shapes())
    state["module.Decoder.pred2.bias"] = torch.tensor([1.0, float("inf")])
    refused(tmp_path, state, r"Decoder.pred2.bias \(holds infinite values or NaN\)")


def test_values_that_are_not_plain_tensors_are_refused(tmp_path):
    state = {**hollow(rgmp_shapes()), "module.Decoder.pred2.bias": "two numbers"}
    state["module.Decoder.pred3.bias"] = torch.zeros(2).to_sparse()
    message = refused(tmp_path, state, "2 unusable")
    assert "Decoder.pred2.bias (is not a plain tensor but str)" in message


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_checkpoint_is_refused_and_not_run(tmp_path, zipped):
    content = {"seg": {**hollow(seg_shapes()), "module.extra": Payload(tmp_path / "executed")}}
    torch.save(content, tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"was not opened: it asks for \w*io\.open.*could run code"):
        import_checkpoint(tmp_path / "evil.pth", tmp_path / "out.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pth"]


def test_a_plain_malicious_pickle_is_refused_and_not_run(tmp_path):
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Payload(tmp_path / "executed"), protocol=2))
    with pytest.raises(WeightsError, match=r"was not opened|not a PyTorch checkpoint"):
        import_checkpoint(tmp_path / "evil.pth", tmp_path / "out.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pth"]
    loaded = pickle.loads((tmp_path / "evil.pth").read_bytes())  # noqa: S301 - the payload works where it is allowed to
    loaded.close()
    assert (tmp_path / "executed").exists()


def test_the_checkpoint_is_opened_once_and_only_restricted(tmp_path, monkeypatch):
    calls = []
    original = torch.load

    def load(*arguments, **options):
        calls.append(options)
        return original(*arguments, **options)

    monkeypatch.setattr(importer.torch, "load", load)
    refused(tmp_path, {"x": Payload(tmp_path / "executed")}, "was not opened")
    assert [options["weights_only"] for options in calls] == [True]


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_checkpoint_is_refused(tmp_path, kept):
    torch.save(hollow(rgmp_shapes()), tmp_path / "whole.pth")
    content = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(WeightsError, match=r"cut\.pth"):
        import_checkpoint(tmp_path / "cut.pth", tmp_path / "out.safetensors")


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights file .*nothing\.pth"):
        import_checkpoint(tmp_path / "nothing.pth", tmp_path / "out.safetensors")


def test_the_name_of_the_output_is_checked_before_the_long_work(tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "_unpickle", lambda _: pytest.fail("the checkpoint was opened"))
    with pytest.raises(OutputError, match=r"does not end in \.safetensors"):
        import_checkpoint(tmp_path / "checkpoint.pth", tmp_path / "out.pth")


def test_flow_inside_agss_vos_goes_to_a_file_of_its_own(tmp_path):
    flow = hollow(flow_shapes())
    flow["module.conv1.0.weight"] = torch.randn(flow["module.conv1.0.weight"].shape)
    torch.save({"seg": hollow(seg_shapes()), "flow": flow}, tmp_path / "published.pth")
    report = import_checkpoint(tmp_path / "published.pth", tmp_path / "paper.safetensors")
    assert [path.name for path in report.files] == ["paper.safetensors", "paper-flownet2c.safetensors"]
    assert read_weights(report.files[0])[1].flow == "flownet2c"
    tensors, config, metadata = read_weights(report.files[1])
    assert metadata["kind"] == "flownet2c"
    assert config.flow == "flownet2c"
    assert {name: tuple(value.shape) for name, value in tensors.items()} == flow_shapes()
    assert torch.equal(tensors["conv1.0.weight"], flow["module.conv1.0.weight"])
    with pytest.raises(WeightsError, match="holds the flow network flownet2c"):
        load_model(report.files[1])


def test_flownet2c_on_its_own_is_recognised(tmp_path):
    torch.save({"epoch": 4, "state_dict": hollow(flow_shapes(), prefix="")}, tmp_path / "FlowNet2-C.pth")
    report = import_checkpoint(tmp_path / "FlowNet2-C.pth", tmp_path / "flow.safetensors")
    assert report.kind == "flownet2c"
    assert report.parameters == 39_175_298
