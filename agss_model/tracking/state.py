"""Everything a tracker holds between two frames, as one record, and that record as one safetensors file.

The file holds data only, is exact, and is replaced at once.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor

from agss_model.bounded_json import loads
from agss_model.config import AgssConfig
from agss_model.errors import OutputError, WeightsError
from agss_model.files import replacing
from agss_model.network.base import Features, Reference
from agss_model.tracking.frames import Geometry
from agss_model.tracking.memory import Entry

VERSION = 1


@dataclass(frozen=True)
class Seen:
    """The frame that was looked at last.

    Attributes:
        index: its number.
        geometry: sizes of the clip.
        image: (1, 3, H, W) float32 in [0, 1], at the working size.
        features: what the network found in it; needed only to give masks on that same frame again, so a file is
            without.
    """

    index: int
    geometry: Geometry
    image: Tensor
    features: Features | None = None


@dataclass(frozen=True)
class Snapshot:
    """What a tracker needs to continue exactly.

    Attributes:
        seen: the last frame; None before the first.
        ids: the objects, ascending; slot k of every tensor belongs to `ids[k]`.
        masks: (N, h, w) float32 in [0, 1], as carried, of the last frame.
        lost: (N,) bool.
        permanent: human frames.
        recent: confident tracked frames.
        previous: the last frame as the network remembers it.
        since: frames since the last recent one.
    """

    seen: Seen | None
    ids: tuple[int, ...]
    masks: Tensor
    lost: Tensor
    permanent: tuple[Entry, ...]
    recent: tuple[Entry, ...]
    previous: Entry | None
    since: int


def save(snapshot: Snapshot, config: AgssConfig, path: Path) -> None:
    """Write what a tracker holds beside its place and rename.

    Args:
        snapshot: what it holds.
        config: of its network.
        path: where to.

    Raises:
        OutputError: it cannot be written; an earlier file is untouched.
    """
    seen = snapshot.seen
    tensors: dict[str, Tensor] = {"masks": snapshot.masks, "lost": snapshot.lost}
    if seen is not None:  # bytes: what `to_image` made is exact in 32 bits, so it is kept as it is
        tensors["image"] = seen.image
    groups = {"permanent": snapshot.permanent, "recent": snapshot.recent}
    groups["previous"] = (snapshot.previous,) if snapshot.previous else ()
    entries = {name: [_note(tensors, f"{name}.{i}", e) for i, e in enumerate(g)] for name, g in groups.items()}
    meta = {
        "version": VERSION,
        "config": config.to_dict(),
        "ids": snapshot.ids,
        "frame_index": seen.index if seen else None,
        "geometry": dataclasses.asdict(seen.geometry) if seen else None,
        "since": snapshot.since,
        "entries": entries,
    }
    own = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    try:
        with replacing(path, flush=False) as beside:
            beside.write_bytes(serialised(own, {"meta": json.dumps(meta)}))
    except (OSError, SafetensorError) as error:
        raise OutputError(f"The tracker's state could not be written to {path}: {error}.") from error


def _note(tensors: dict[str, Tensor], name: str, entry: Entry) -> dict[str, Any]:
    reference = entry.reference
    tensors[f"{name}.key"], tensors[f"{name}.value"] = reference.key, reference.value
    tensors[f"{name}.known"] = reference.known
    if reference.gram is not None and reference.cross is not None:
        tensors[f"{name}.gram"], tensors[f"{name}.cross"] = reference.gram, reference.cross
    return {"frame_index": entry.frame_index, "ids": entry.ids}


def load(path: Path, config: AgssConfig, device: torch.device) -> Snapshot:
    """Read what `save` wrote.

    Args:
        path: the file.
        config: of the network that will go on.
        device: where its tensors are to be.

    Raises:
        WeightsError: the file is missing or damaged, or is of another network or version.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            meta = loads((file.metadata() or {})["meta"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if meta["version"] != VERSION or meta["config"] != json.loads(json.dumps(config.to_dict())):
            raise WeightsError(f"{path} was written by another version or with other settings; start again.")
        return _snapshot(meta, tensors)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} is not a tracker's state, or is damaged ({error}); start again.") from error


def _snapshot(meta: dict[str, Any], tensors: dict[str, Tensor]) -> Snapshot:
    def entries(name: str) -> tuple[Entry, ...]:
        return tuple(_entry(tensors, f"{name}.{i}", note) for i, note in enumerate(meta["entries"][name]))

    seen, sizes = None, meta["geometry"]
    if sizes:
        working, carried = tuple(sizes["working"]), tuple(sizes["carried"])
        geometry = Geometry(int(sizes["height"]), int(sizes["width"]), working, carried)
        seen = Seen(int(meta["frame_index"]), geometry, tensors["image"])
    return Snapshot(
        seen=seen,
        ids=tuple(meta["ids"]),
        masks=tensors["masks"],
        lost=tensors["lost"],
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
