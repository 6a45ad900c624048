"""An imported checkpoint gives the published numbers: our network against an independent writing of the computation."""

from __future__ import annotations

import json
import math

import pytest
import torch
from published_format import SEG_PARAMETERS, Published, random_state, rgmp_shapes, seg_shapes

from agss_model.files import sha256_of
from agss_model.network.base import Question
from agss_model.weights.files import read_weights
from agss_model.weights.importer import import_checkpoint
from agss_model.weights.registry import load_model


def scene(objects, height, width, seed=1):
    """Two images, reference masks that do not overlap, and soft overlapping masks for the target."""
    generator = torch.Generator().manual_seed(seed)
    first, image = torch.rand(2, 1, 3, height, width, generator=generator)
    place = torch.randint(0, objects + 1, (1, 1, height // 8, width // 8), generator=generator)
    place = place.repeat_interleave(8, 2).repeat_interleave(8, 3)
    masks = torch.cat([(place == n + 1).float() for n in range(objects)], 1)
    warped = torch.nn.functional.avg_pool2d(masks, 5, 1, 2) * 0.9
    return first, masks, image, warped


def forward(network, first, masks, image, warped):
    with torch.inference_mode():
        reference = network.remember(network.encode(first), masks)
        return network.segment(network.encode(image), Question([reference], None, warped))


@pytest.fixture(scope="module")
def agss(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agss")
    state = random_state(seg_shapes())
    torch.save({"seg": {f"module.{name}": value for name, value in state.items()}}, folder / "published.pth")
    return state, folder / "published.pth", import_checkpoint(folder / "published.pth", folder / "paper.safetensors")


def test_the_generated_checkpoint_has_the_published_number_of_parameters():
    shapes = seg_shapes()
    learned = sum(math.prod(shape) for name, shape in shapes.items() if "running_" not in name)
    assert learned == SEG_PARAMETERS


@pytest.mark.parametrize(("objects", "height", "width"), [(3, 64, 128), (2, 128, 64), (1, 64, 64)])
def test_imported_agss_vos_gives_the_published_probabilities(agss, objects, height, width):
    state, _, report = agss
    network = load_model(report.files[0])
    arguments = scene(objects, height, width)
    with torch.inference_mode():
        expected = Published(state).agss(*arguments)
    found = forward(network, *arguments)
    assert expected.std() > 0.05  # otherwise agreement would say little
    assert (found - expected).abs().max() < 1e-5


def test_in_double_precision_the_computation_is_the_published_one(agss):
    state, _, report = agss
    network = load_model(report.files[0]).double()
    arguments = [x.double() for x in scene(2, 64, 128)]
    with torch.inference_mode():
        expected = Published({name: value.double() for name, value in state.items()}).agss(*arguments)
    assert (forward(network, *arguments) - expected).abs().max() < 1e-10


def test_without_normalisation_the_same_file_gives_other_numbers(agss):
    arguments = scene(3, 64, 64)
    competing = forward(load_model(agss[2].files[0]), *arguments)
    alone = forward(load_model(agss[2].files[0], use_normalisation=False), *arguments)
    assert (competing - alone).abs().max() > 0.01


def test_import_of_agss_vos_writes_config_metadata_and_a_readable_summary(agss):
    _, published, report = agss
    assert report.kind == "agss-vos"
    tensors, config, metadata = read_weights(report.files[0])
    assert (config.architecture, config.published_grid, config.flow) == ("paper", True, "dis")
    assert metadata == {"kind": "agss-vos", "source": "published.pth", "source_sha256": sha256_of(published)}
    assert report.parameters == sum(value.numel() for value in tensors.values())
    summary = json.loads(report.files[0].with_suffix(".json").read_text())
    assert summary["sha256"] == sha256_of(report.files[0])
    assert summary["config"] == json.loads(json.dumps(config.to_dict()))


def test_imported_rgmp_gives_the_published_probabilities(tmp_path):
    state = random_state(rgmp_shapes(), seed=2)
    published = {f"module.{name}": value for name, value in state.items()}
    published["module.Encoder.mean"] = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    published["module.Encoder.std"] = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    published["module.Encoder.bn1.num_batches_tracked"] = torch.tensor(7)
    torch.save(published, tmp_path / "weights.pth", _use_new_zipfile_serialization=False)  # as in 2018
    report = import_checkpoint(tmp_path / "weights.pth", tmp_path / "rgmp.safetensors")
    assert report.kind == "rgmp"
    assert set(report.left_out) == {"Encoder.mean", "Encoder.std", "Encoder.bn1.num_batches_tracked"}
    network = load_model(report.files[0])
    assert torch.equal(network.auxiliary["pred5"].weight, state["Decoder.pred5.weight"])
    arguments = scene(2, 64, 128)
    with torch.inference_mode():
        expected = Published(state).rgmp(*arguments)
    assert expected.std() > 0.05
    assert (forward(network, *arguments) - expected).abs().max() < 1e-5
