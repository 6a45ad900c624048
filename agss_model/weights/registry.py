"""The names that weights go by, and loading a network by its name or file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from agss_model.bounded_json import read_json
from agss_model.config import PRESETS, AgssConfig
from agss_model.errors import ConfigError, WeightsError
from agss_model.files import sha256_of
from agss_model.network import build_network
from agss_model.network.base import AGSSVOS
from agss_model.tracking.quality import HEAD, ScoreHead
from agss_model.weights.bundles import RECORD, WEIGHTS, find_bundle, published_names, read_bundle
from agss_model.weights.files import check_fit, load_into, read_weights

SHIPPED = Path(__file__).parent / "shipped"
UNTRAINED = ("propagation", "imagenet")  # names of the network that needs no training of ours
_KINDS = {"flownet2c": "the flow network flownet2c", "flownet2": "the flow network flownet2", HEAD: "a head for scores"}


def load_model(name_or_path: str | Path = "lite", device: str | torch.device = "cpu", **overrides: object) -> AGSSVOS:
    """Build a network with trained weights, in eval mode.

    Args:
        name_or_path: a shipped name; a name published here, `NAME` or `NAME@VERSION`; `propagation` (or `imagenet`)
            for labels carried by ImageNet features; a safetensors file written by this package, or the folder of a
            published bundle.
        device: where it runs, such as `cpu`, `cuda` or `cuda:1`; there is no fallback to another one.
        **overrides: settings of `AgssConfig` to change, such as `use_normalisation=False`.

    Raises:
        WeightsError: unknown name; or the file is missing, damaged, of a flow network, or does not fit its config.
        ConfigError: an override or the device cannot be used.
    """
    place = check_device(device)
    if name_or_path in UNTRAINED:
        network = _propagation(_override(PRESETS["propagation"], overrides))
    else:
        path, sha256 = locate(name_or_path)
        state, config, metadata = read_weights(path, sha256)
        if (kind := metadata.get("kind", "")) in _KINDS:
            raise WeightsError(f"{path} holds {_KINDS[kind]}, not a segmentation network.")
        config = _override(config, overrides)
        _check_fit(config, state)
        network = build_network(config)
        load_into(network, state)
        network.head = _head(path, network)
    # Convolutions with few channels take half the time this way, on CPUs and GPUs alike.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.head = network.head.to(place) if network.head is not None else None
    return network.eval().to(place)


def head_beside(weights: Path) -> Path:
    """Where the head for scores that was fitted on some weights lies."""
    return weights.with_name(f"{weights.stem}-{HEAD}.safetensors")


def _head(weights: Path, network: AGSSVOS) -> ScoreHead | None:
    """The head for scores of these weights; the shipped one where they have none, or one of other clues than today's.

    Raises:
        WeightsError: it is damaged, or something else.
    """
    if not network.sources:
        return None
    places = (head_beside(weights), head_beside(SHIPPED / "lite.safetensors"))
    for place in places:
        if place.is_file():
            state, _, metadata = read_weights(place)
            if (head := ScoreHead.of(state, metadata)) is not None:
                return head
    return None


def shipped_models(folder: Path = SHIPPED) -> dict[str, tuple[Path, str]]:
    """Names that come with the package, with file and SHA-256.

    Args:
        folder: holds `index.json`, `{name: {"file": ..., "sha256": ...}}`, and the files it names.

    Raises:
        WeightsError: the index is damaged or points outside its folder.
    """
    index = folder / "index.json"
    if not index.exists():
        return {}
    try:
        entries = read_json(index)
        models = {str(name): (folder / entry["file"], str(entry["sha256"])) for name, entry in entries.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsError(f"{index} is damaged ({error}). Install the package again.") from error
    for path, _ in models.values():
        if not path.resolve().is_relative_to(folder.resolve()):
            raise WeightsError(f"{index} names {path}, which is outside its folder. Install the package again.")
    return models


def check_device(device: str | torch.device) -> torch.device:
    """The device itself, if this machine has it.

    Raises:
        ConfigError: it is unknown, or not there; nothing falls back to the CPU.
    """
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"{device!r} is not a device; choose cpu, cuda, cuda:N or mps.") from error
    if place.type == "cpu":
        return place
    if place.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (place.index or 0) < count:
            return place
        there = f"{count} CUDA device(s)" if count else "no CUDA device"
        raise ConfigError(
            f"Device {device} was asked for, but torch {torch.__version__} sees {there}. "
            "Choose another device, or check the driver and install a CUDA build of torch."
        )
    if place.type == "mps" and torch.backends.mps.is_available():
        return place
    raise ConfigError(f"Device {device} cannot be used on this machine; choose cpu, cuda, cuda:N or mps.")


def locate(name_or_path: str | Path) -> tuple[Path, str | None]:
    """The file behind a name or path, and the SHA-256 it must have where that is known.

    Args:
        name_or_path: as `load_model` takes it, but for untrained names.

    Raises:
        WeightsError: unknown name, or the store of published weights is damaged.
    """
    models = shipped_models()
    if isinstance(name_or_path, str) and name_or_path in models:
        return models[name_or_path]
    if isinstance(name_or_path, str) and (bundle := find_bundle(name_or_path)) is not None:
        return bundle.weights, bundle.files[WEIGHTS]
    if name_or_path in UNTRAINED:
        raise WeightsError(f"{name_or_path} needs no training: it has no weights to go on from; choose lite or a file.")
    path = Path(name_or_path)
    if os.path.isfile(path / RECORD):
        bundle = read_bundle(path)
        return bundle.weights, bundle.files[WEIGHTS]
    if path.suffix == ".safetensors" or os.path.isfile(path):
        return path, None
    names = ", ".join([*models, *published_names(), *UNTRAINED])
    raise WeightsError(
        f"{name_or_path} is neither a shipped or published model nor a weights file. There are: {names}."
    )


def digest_of(name_or_path: str | Path) -> str:
    """SHA-256 of the file behind a name or path, in hexadecimal.

    Raises:
        WeightsError: as `locate`.
    """
    return sha256_of(locate(name_or_path)[0])


def _override(config: AgssConfig, overrides: dict[str, object]) -> AgssConfig:
    return AgssConfig.from_dict({**config.to_dict(), **overrides})


def _check_fit(config: AgssConfig, state: Mapping[str, torch.Tensor]) -> None:
    """Compare the tensors of a file with those of the network it asks for, before there is room for that network.

    Raises:
        WeightsError: a tensor is missing, unexpected, of another shape or kind, or not finite.
    """
    with torch.device("meta"):
        network = build_network(config)
    check_fit(network, state)


def _propagation(config: AgssConfig) -> AGSSVOS:
    from agss_model.network.propagation import PropagationAGSSVOS
    from agss_model.weights.imagenet import imagenet_weights

    network = PropagationAGSSVOS(config)
    load_into(network.encoder, imagenet_weights(config.encoder))
    return network
