"""Published checkpoints, read once by torch's restricted unpickler and kept as safetensors from then on."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from agss_model.config import PRESETS, AgssConfig
from agss_model.errors import WeightsError
from agss_model.files import sha256_of
from agss_model.network import build_network
from agss_model.network.base import IMAGENET_MEAN, IMAGENET_STD
from agss_model.weights.files import check_file, check_target, describe_mismatch, save_weights

Kind = Literal["agss-vos", "rgmp", "flownet2c", "flownet2"]
MAX_CHECKPOINT_BYTES = 4 << 30
_UNDERSTOOD = "Understood are published checkpoints of AGSS-VOS, RGMP, FlowNet2 and FlowNet2-C."

# Published prefix, ours; the first that fits counts. Inside these modules the names are the same.
_PREFIXES = (
    ("Encoder.res2.", "encoder.layer1."),
    ("Encoder.res3.", "encoder.layer2."),
    ("Encoder.res4.", "encoder.layer3."),
    ("Encoder.res5.", "encoder.layer4."),
    ("Encoder.atn.", "instance.attention."),
    ("Encoder.", "encoder."),
    ("Decoder.RF2.", "decoder.RF2."),
    ("Decoder.pred2.", "decoder.pred2."),
    ("Decoder.pred", "auxiliary.pred"),
    ("Decoder.", "agnostic."),
)
_CONSTANTS = {"Encoder.mean": IMAGENET_MEAN, "Encoder.std": IMAGENET_STD}


@dataclass(frozen=True)
class ImportReport:
    """What a checkpoint was converted to.

    Attributes:
        kind: what it was recognised as.
        files: the safetensors files written, the segmentation network first; each has a `.json` beside it.
        parameters: numbers stored in all of them.
        left_out: published names that carry nothing a network needs (counters, ImageNet's mean and std).
    """

    kind: Kind
    files: tuple[Path, ...]
    parameters: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Part:
    """One network out of a checkpoint, under our names."""

    kind: Kind
    state: dict[str, Tensor]
    left_out: tuple[str, ...]


def import_checkpoint(path: Path, out: Path, kind: Kind | Literal["auto"] = "auto") -> ImportReport:
    """Convert a published checkpoint; nothing is written unless every tensor of it fits.

    Args:
        path: pickled checkpoint as published. It is opened with `weights_only=True` or not at all.
        out: safetensors file to write. The flow network inside an AGSS-VOS checkpoint goes beside it, to
            `<stem>-flownet2c.safetensors`.
        kind: what the file must be; `auto` tells from the names in it.

    Raises:
        WeightsError: missing, damaged, refused by the restricted unpickler, of something else, or incomplete.
        OutputError: the place cannot be written.
    """
    path, out = Path(path), Path(out)
    if kind not in ("auto", *get_args(Kind)):
        raise WeightsError(f"No kind of checkpoint is called {kind!r}; choose auto, {', '.join(get_args(Kind))}.")
    check_target(out)
    parts = [_convert(path, part, state) for part, state in _recognise(path, _unpickle(path), kind)]
    source = {"source": path.name, "source_sha256": sha256_of(path)}
    config = _config(parts)
    files = []
    for part in parts:
        target = out if part is parts[0] else out.with_name(f"{out.stem}-{part.kind}.safetensors")
        save_weights(target, part.state, config, {"kind": part.kind, **source})
        files.append(target)
    return ImportReport(
        kind=parts[0].kind,
        files=tuple(files),
        parameters=sum(tensor.numel() for part in parts for tensor in part.state.values()),
        left_out=tuple(name for part in parts for name in part.left_out),
    )


def _unpickle(path: Path) -> object:
    """The content of a checkpoint, by the unpickler that knows tensors and containers only."""
    check_file(path, MAX_CHECKPOINT_BYTES)
    with path.open("rb") as file:
        mappable = file.read(4) == b"PK\x03\x04"  # checkpoints from before torch 1.6 are not zip files
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)
    except pickle.UnpicklingError as error:
        refused = re.search(r"(?:GLOBAL|global|class|function) [`']?([\w.]+\.\w+)", str(error))
        what = f"it asks for {refused[1]}" if refused else "it holds more than tensors, or is damaged"
        raise WeightsError(
            f"{path} was not opened: {what}, and opening such a file could run code. If you trust its origin, load it "
            "yourself elsewhere, save a new file with its state dicts only, and import that."
        ) from error
    except Exception as error:  # damaged bytes make the unpickler fail in many ways; none may pass for success
        raise WeightsError(f"{path} is not a PyTorch checkpoint, or it is damaged ({type(error).__name__}).") from error


def _recognise(path: Path, content: object, kind: Kind | Literal["auto"]) -> list[tuple[Kind, Mapping[str, Any]]]:
    """Split a checkpoint into networks, by the names in it."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not named tensors. {_UNDERSTOOD}")
    inner = next((key for key in ("seg", "state_dict") if isinstance(content.get(key), Mapping)), None)
    state = _strip(content[inner] if inner else content)
    found = _kind_of(state)
    if found == "rgmp" and inner == "seg":  # then it is the attention branch that is missing
        found = "agss-vos"
    if found is None or kind not in ("auto", found):
        names = ", ".join(list(state)[:5]) or "no names"
        looks = f"looks like {found}, not {kind}" if found else "holds something else"
        raise WeightsError(f"{path} {looks}; it starts with: {names}. {_UNDERSTOOD}")
    parts: list[tuple[Kind, Mapping[str, Any]]] = [(found, state)]
    if inner == "seg" and isinstance(content.get("flow"), Mapping):
        parts.append(("flownet2c", _strip(content["flow"])))
    return parts


def _strip(state: Mapping[Any, Any]) -> dict[str, Any]:
    """Names without the prefix that training on several GPUs put before them."""
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _kind_of(state: Mapping[str, Any]) -> Kind | None:
    if any(name.startswith("Encoder.atn.") for name in state):
        return "agss-vos"
    if any(name.startswith(("Encoder.", "Decoder.")) for name in state):
        return "rgmp"
    if any(name.startswith("flownetfusion.") for name in state):
        return "flownet2"
    if any(name.startswith("conv_redir.") for name in state):
        return "flownet2c"
    return None


def _convert(path: Path, kind: Kind, published: Mapping[str, Any]) -> _Part:
    """Check every tensor of one network and give it our name."""
    left_out = tuple(name for name in published if name.endswith(".num_batches_tracked") or name in _CONSTANTS)
    kept = {name: value for name, value in published.items() if name not in left_out}
    for name, constant in _CONSTANTS.items():
        _check_constant(path, name, published.get(name), constant)
    prefixes = _PREFIXES if kind in ("agss-vos", "rgmp") else ()
    expected = {_rename(name, prefixes, back=True): value for name, value in _untrained(kind).state_dict().items()}
    if problems := describe_mismatch(expected, kept):
        raise WeightsError(f"{path} is not a complete {kind} checkpoint.\n{problems}")
    return _Part(kind, {_rename(name, prefixes): value.float() for name, value in kept.items()}, left_out)


def _check_constant(path: Path, name: str, value: object, constant: tuple[float, ...]) -> None:
    """Refuse a checkpoint that was trained with another normalisation of the image than ImageNet's."""
    if value is None:
        return
    if not isinstance(value, Tensor) or value.numel() != 3:
        raise WeightsError(f"{path}: {name} should hold three numbers, {constant}.")
    if not torch.allclose(value.flatten().float(), torch.tensor(constant), atol=1e-4):
        raise WeightsError(f"{path}: {name} is {value.flatten().tolist()}; only {constant} (ImageNet) is supported.")


def _rename(name: str, prefixes: tuple[tuple[str, str], ...], *, back: bool = False) -> str:
    """Published name to ours, or `back`."""
    for pair in prefixes:
        old, new = reversed(pair) if back else pair
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _untrained(kind: Kind) -> nn.Module:
    """A network of this kind that has names and shapes but no memory."""
    with torch.device("meta"):
        if kind in ("agss-vos", "rgmp"):
            return build_network(PRESETS["paper" if kind == "agss-vos" else "rgmp"])
        from agss_model.flow.flownet2 import FlowNet2, FlowNet2C

        return FlowNet2C() if kind == "flownet2c" else FlowNet2()


def _config(parts: list[_Part]) -> AgssConfig:
    """How the imported network is to be run."""
    kinds = {part.kind for part in parts}
    if "rgmp" in kinds:
        return PRESETS["rgmp"]
    if "agss-vos" not in kinds:
        return replace(PRESETS["paper"], flow="flownet2" if "flownet2" in kinds else "flownet2c")
    config = replace(PRESETS["paper"], published_grid=True)
    return replace(config, flow="flownet2c") if "flownet2c" in kinds else config
