"""Weights as safetensors with their configuration inside: written whole or not at all, checked before they are used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from agss_model.bounded_json import loads
from agss_model.config import AgssConfig
from agss_model.errors import ConfigError, OutputError, WeightsError
from agss_model.files import replacing, sha256_of, write_json

MAX_BYTES = 1 << 30
MAX_NAMES = 20  # of tensors in one message
_RECORD = "agss"  # all metadata under one key: safetensors orders several keys at random, and hashes would differ


def save_weights(
    path: Path,
    state_dict: Mapping[str, Tensor],
    config: AgssConfig,
    metadata: Mapping[str, str],
    dtype: torch.dtype | None = None,
) -> str:
    """Write weights, and beside them `<stem>.json` with config, metadata and SHA-256 for people to read.

    Args:
        path: ends in `.safetensors`; an existing file is replaced only when the new one is complete.
        state_dict: tensors of any device and floating type.
        config: what the tensors are for; `read_weights` gives it back.
        metadata: anything worth keeping, such as training data and licence.
        dtype: floating tensors are stored as this, None keeps them as they are.

    Returns:
        SHA-256 of the file, in hexadecimal.

    Raises:
        OutputError: the place cannot be written.
        WeightsError: a number is infinite or not a number, maybe because `dtype` cannot hold it.
    """
    path = Path(path)
    check_target(path)
    tensors = {name: _storable(name, tensor, dtype) for name, tensor in state_dict.items()}
    about = {"config": config.to_dict(), "metadata": dict(metadata)}
    record = json.dumps({**about, "checksum": _checksum(about, tensors)}, sort_keys=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            # Its save_file writes to a file of its own, which a killed process leaves, and which nobody else may read.
            part.write_bytes(save(tensors, metadata={_RECORD: record}))
            digest = sha256_of(part)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"Cannot write {path}: {error}. Choose another place or free some space.") from error
    write_json(path.with_suffix(".json"), {"file": path.name, "sha256": digest, **about})
    return digest


def read_weights(path: Path, sha256: str | None = None) -> tuple[dict[str, Tensor], AgssConfig, dict[str, str]]:
    """Read what `save_weights` wrote; nothing in the file can run code.

    Args:
        path: a safetensors file of at most 1 GiB.
        sha256: expected hash of the file, compared before anything in it is parsed.

    Returns:
        Tensors on the CPU, their configuration, the remaining metadata.

    Raises:
        WeightsError: missing, too large, another hash, not safetensors, damaged, or without a valid configuration.
    """
    path = Path(path)
    check_file(path, MAX_BYTES)
    if sha256 is not None and (found := sha256_of(path)) != sha256.lower():
        raise WeightsError(
            f"{path} has SHA-256 {found}, expected {sha256.lower()}: it is damaged or another file. Get it again."
        )
    _check_start(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            record = (file.metadata() or {}).get(_RECORD)
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} is damaged or cut short ({error}). Get it again.") from error
    about, checksum, config = _read_record(path, record)
    if checksum != _checksum(about, tensors):
        raise WeightsError(f"{path} is damaged: its content does not match its own checksum. Get it again.")
    return tensors, config, about["metadata"]


def load_into(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy tensors into a network; every name and every shape must agree.

    Args:
        network: stays unchanged when an error is raised.
        state: floating tensors of any precision; they take the network's.

    Raises:
        WeightsError: a tensor is missing, unexpected, of another shape or kind, or not finite.
    """
    check_fit(network, state)
    network.load_state_dict(dict(state), strict=True)


def check_fit(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Compare tensors with those of a network, which may be on the device `meta`, where it takes no room.

    Raises:
        WeightsError: a tensor is missing, unexpected, of another shape or kind, or not finite.
    """
    if problems := describe_mismatch(network.state_dict(), state, MAX_NAMES):
        raise WeightsError(f"These weights do not fit the network {type(network).__name__}.\n{problems}")


def describe_mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Any], limit: int | None = None) -> str:
    """Say how two sets of tensors differ, one line for each kind of difference.

    Args:
        expected: tensors by name; only their shape and kind count.
        found: what there is instead.
        limit: names printed in each line, None for all.

    Returns:
        Text for an error message, empty when everything agrees.
    """
    both = ((name, _unlike(expected[name], found[name])) for name in expected.keys() & found.keys())
    groups = (
        ("missing", expected.keys() - found.keys()),
        ("unexpected", found.keys() - expected.keys()),
        ("unusable", [f"{name} ({how})" for name, how in both if how]),
    )
    return "\n".join(f"{len(names)} {title}: {_listing(names, limit)}" for title, names in groups if names)


def check_file(path: Path, limit: int) -> None:
    """Refuse what cannot be a file of weights before opening it.

    Args:
        path: of any kind.
        limit: bytes.

    Raises:
        WeightsError: not a file, not readable, or larger than `limit`.
    """
    if not os.path.isfile(path):
        raise WeightsError(f"There is no weights file {path}. Check the path.")
    if not os.access(path, os.R_OK):
        raise WeightsError(f"{path} cannot be read. Check its permissions.")
    if (size := path.stat().st_size) > limit:
        raise WeightsError(f"{path} has {size} bytes; weights have at most {limit}. This is another kind of file.")


def check_target(path: Path) -> None:
    """Refuse a name that does not say what the file is.

    Raises:
        OutputError: it does not end in `.safetensors`.
    """
    if path.suffix != ".safetensors":
        raise OutputError(f"Weights are written as safetensors, but {path} does not end in .safetensors. Rename it.")


def _unlike(want: Tensor, have: object) -> str:
    """What is wrong with a tensor that should be like another; empty when nothing is."""
    if not isinstance(have, Tensor) or have.layout != torch.strided or have.is_meta:
        return f"is not a plain tensor but {type(have).__name__}"
    if have.is_floating_point() != want.is_floating_point():
        return f"holds {have.dtype}, should be like {want.dtype}"
    if have.shape != want.shape:
        return f"has shape {tuple(have.shape)}, should be {tuple(want.shape)}"
    return "" if have.isfinite().all() else "holds infinite values or NaN"


def _listing(names: Iterable[str], limit: int | None) -> str:
    ordered = sorted(names)
    shown = ordered[:limit]
    rest = len(ordered) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _storable(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    stored = tensor.detach().cpu()
    if dtype is not None and stored.is_floating_point():
        stored = stored.to(dtype)
    if not stored.isfinite().all():
        raise WeightsError(
            f"{name} is infinite or not a number as {stored.dtype}; it was not saved. "
            "Train with a smaller learning rate, or save in a wider type."
        )
    return stored.clone(memory_format=torch.contiguous_format)  # tensors that share memory cannot be saved


def _checksum(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Hash of all content that a file can carry inside, so that damage shows without any other file."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_start(path: Path) -> None:
    """Tell other kinds of files from damaged ones: eight bytes of header length, then the header's brace."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":
        return
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
        raise WeightsError(
            f"{path} is a pickled PyTorch checkpoint, whatever its name; it is not opened here, because pickles can "
            "run code. Convert it once with: agss weights import FILE"
        )
    raise WeightsError(f"{path} is not a safetensors file, or it is damaged from its first bytes on. Get it again.")


def _read_record(path: Path, record: str | None) -> tuple[dict[str, Any], str, AgssConfig]:
    """What the checksum covers beside the tensors, the checksum, and the configuration."""
    if record is None:
        raise WeightsError(f"{path} carries no configuration, so it was not written by this project.")
    try:
        values = loads(record)
        about = {"config": dict(values["config"]), "metadata": dict(values["metadata"])}
        # Files written before the target model have no such setting, nor its weights.
        return about, values["checksum"], AgssConfig.from_dict({"use_target": False} | about["config"])
    except (ConfigError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise WeightsError(
            f"{path} carries a configuration that cannot be used ({error}). It is damaged, or from another version."
        ) from error
