"""A tracker's state as one safetensors file: data only, exact, atomic."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from agss_model.errors import OutputError, WeightsError
from agss_model.frames import Geometry
from agss_model.memory import Entry
from agss_model.network.base import Reference

if TYPE_CHECKING:
    from agss_model.tracker import Tracker

VERSION = 1


def save(tracker: Tracker, path: Path) -> None:
    """Write the state beside its place and rename.

    Raises:
        OutputError: it cannot be written; an earlier file is untouched.
    """
    tensors: dict[str, Tensor] = {"masks": tracker._masks, "lost": tracker._lost}
    if tracker._image is not None:  # bytes: what `to_image` made is exact in 32 bits, so it is kept as it is
        tensors["image"] = tracker._image
    memory = tracker.memory
    groups = {"permanent": memory.permanent, "recent": memory.recent}
    groups["previous"] = [memory.previous] if memory.previous else []
    entries = {name: [_note(tensors, f"{name}.{i}", e) for i, e in enumerate(g)] for name, g in groups.items()}
    geometry = tracker.geometry
    meta = {
        "version": VERSION,
        "config": tracker.network.config.to_dict(),
        "ids": tracker._ids,
        "frame_index": tracker.frame_index,
        "geometry": dataclasses.asdict(geometry) if geometry else None,
        "since": memory._since,
        "entries": entries,
    }
    beside = path.with_name(f".{path.name}.part")
    try:
        own = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
        save_file(own, beside, {"meta": json.dumps(meta)})
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        beside.unlink(missing_ok=True)
        raise OutputError(f"The tracker's state could not be written to {path}: {error}.") from error


def _note(tensors: dict[str, Tensor], name: str, entry: Entry) -> dict[str, Any]:
    reference = entry.reference
    tensors[f"{name}.key"], tensors[f"{name}.value"] = reference.key, reference.value
    tensors[f"{name}.known"] = reference.known
    return {"frame_index": entry.frame_index, "ids": entry.ids}


def load(tracker: Tracker, path: Path) -> None:
    """Fill a new tracker.

    Raises:
        WeightsError: the file is missing or damaged, or is of another network or version.
    """
    try:
        with safe_open(path, framework="pt", device=str(tracker.device)) as file:
            meta = json.loads((file.metadata() or {})["meta"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if meta["version"] != VERSION or meta["config"] != json.loads(json.dumps(tracker.network.config.to_dict())):
            raise WeightsError(f"{path} was written by another version or with other settings; start again.")
        _fill(tracker, meta, tensors)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} is not a tracker's state, or is damaged ({error}); start again.") from error


def _fill(tracker: Tracker, meta: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    memory, sizes = tracker.memory, meta["geometry"]
    if sizes:
        working, carried = tuple(sizes["working"]), tuple(sizes["carried"])
        tracker.geometry = Geometry(int(sizes["height"]), int(sizes["width"]), working, carried)
    tracker._ids = tuple(meta["ids"])
    tracker.frame_index = meta["frame_index"]
    tracker._masks, tracker._lost = tensors["masks"], tensors["lost"]
    tracker._image = tensors.get("image")
    memory._since = int(meta["since"])

    def entries(name: str) -> list[Entry]:
        notes = meta["entries"][name]
        return [_entry(tensors, f"{name}.{i}", note) for i, note in enumerate(notes)]

    memory.permanent, memory.recent = entries("permanent"), entries("recent")
    memory.previous = next(iter(entries("previous")), None)


def _entry(tensors: dict[str, Tensor], name: str, note: dict[str, Any]) -> Entry:
    reference = Reference(tensors[f"{name}.key"], tensors[f"{name}.value"], tensors[f"{name}.known"].to(torch.bool))
    return Entry(int(note["frame_index"]), tuple(int(i) for i in note["ids"]), reference)
