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

from agss_model import snapshot
from agss_model.errors import OutputError, WeightsError
from agss_model.files import replacing
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
    held = snapshot.take(tracker)
    tensors: dict[str, Tensor] = {"masks": held.masks, "lost": held.lost}
    if held.image is not None:  # bytes: what `to_image` made is exact in 32 bits, so it is kept as it is
        tensors["image"] = held.image
    groups = {"permanent": held.permanent, "recent": held.recent}
    groups["previous"] = (held.previous,) if held.previous else ()
    entries = {name: [_note(tensors, f"{name}.{i}", e) for i, e in enumerate(g)] for name, g in groups.items()}
    meta = {
        "version": VERSION,
        "config": tracker.network.config.to_dict(),
        "ids": held.ids,
        "frame_index": held.frame_index,
        "geometry": dataclasses.asdict(held.geometry) if held.geometry else None,
        "since": held.since,
        "entries": entries,
    }
    own = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    try:
        with replacing(path, flush=False) as beside:
            save_file(own, beside, {"meta": json.dumps(meta)})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"The tracker's state could not be written to {path}: {error}.") from error


def _note(tensors: dict[str, Tensor], name: str, entry: Entry) -> dict[str, Any]:
    reference = entry.reference
    tensors[f"{name}.key"], tensors[f"{name}.value"] = reference.key, reference.value
    tensors[f"{name}.known"] = reference.known
    if reference.gram is not None and reference.cross is not None:
        tensors[f"{name}.gram"], tensors[f"{name}.cross"] = reference.gram, reference.cross
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
        snapshot.restore(tracker, _snapshot(meta, tensors))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} is not a tracker's state, or is damaged ({error}); start again.") from error


def _snapshot(meta: dict[str, Any], tensors: dict[str, Tensor]) -> snapshot.Snapshot:
    def entries(name: str) -> tuple[Entry, ...]:
        return tuple(_entry(tensors, f"{name}.{i}", note) for i, note in enumerate(meta["entries"][name]))

    geometry, sizes = None, meta["geometry"]
    if sizes:
        working, carried = tuple(sizes["working"]), tuple(sizes["carried"])
        geometry = Geometry(int(sizes["height"]), int(sizes["width"]), working, carried)
    return snapshot.Snapshot(
        geometry=geometry,
        frame_index=meta["frame_index"],
        ids=tuple(meta["ids"]),
        masks=tensors["masks"],
        lost=tensors["lost"],
        image=tensors.get("image"),
        permanent=entries("permanent"),
        recent=entries("recent"),
        previous=next(iter(entries("previous")), None),
        since=int(meta["since"]),
    )


def _entry(tensors: dict[str, Tensor], name: str, note: dict[str, Any]) -> Entry:
    reference = Reference(
        tensors[f"{name}.key"],
        tensors[f"{name}.value"],
        tensors[f"{name}.known"].to(torch.bool),
        gram=tensors.get(f"{name}.gram"),
        cross=tensors.get(f"{name}.cross"),
    )
    return Entry(int(note["frame_index"]), tuple(int(i) for i in note["ids"]), reference)
