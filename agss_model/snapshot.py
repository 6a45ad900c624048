"""Everything a tracker holds between two frames, as one record: files and services keep it in their own forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from agss_model.frames import Geometry
from agss_model.memory import Entry
from agss_model.network.base import Features

if TYPE_CHECKING:
    from agss_model.tracker import Tracker


@dataclass(frozen=True)
class Snapshot:
    """What a tracker needs to continue exactly.

    Attributes:
        geometry: sizes of the clip; None before the first frame.
        frame_index: number of the last frame.
        ids: the objects, ascending; slot k of every tensor belongs to `ids[k]`.
        masks: (N, h, w) float32 in [0, 1], as carried, of the last frame.
        lost: (N,) bool.
        image: (1, 3, H, W) float32 in [0, 1], the last frame at the working size.
        permanent: human frames.
        recent: confident tracked frames.
        previous: the last frame as the network remembers it.
        since: frames since the last recent one.
        features: of the last frame; needed only to give masks on that same frame again.
    """

    geometry: Geometry | None
    frame_index: int | None
    ids: tuple[int, ...]
    masks: Tensor
    lost: Tensor
    image: Tensor | None
    permanent: tuple[Entry, ...]
    recent: tuple[Entry, ...]
    previous: Entry | None
    since: int
    features: Features | None = None


def take(tracker: Tracker) -> Snapshot:
    """What the tracker holds now; the tensors are its own, so they must not be written to."""
    memory = tracker.memory
    return Snapshot(
        geometry=tracker.geometry,
        frame_index=tracker.frame_index,
        ids=tracker._ids,
        masks=tracker._masks,
        lost=tracker._lost,
        image=tracker._image,
        permanent=tuple(memory.permanent),
        recent=tuple(memory.recent),
        previous=memory.previous,
        since=memory._since,
        features=tracker._features,
    )


def restore(tracker: Tracker, snapshot: Snapshot) -> None:
    """Make a tracker of the same network continue from there; whatever it held before is gone."""
    memory = tracker.memory
    tracker.geometry, tracker.frame_index = snapshot.geometry, snapshot.frame_index
    tracker._ids, tracker._masks, tracker._lost = snapshot.ids, snapshot.masks, snapshot.lost
    tracker._image, tracker._features, tracker._result = snapshot.image, snapshot.features, None
    memory.permanent, memory.recent = list(snapshot.permanent), list(snapshot.recent)
    memory.previous, memory._since = snapshot.previous, snapshot.since
