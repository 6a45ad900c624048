"""Tracking as a stream: masks are welcome on any frame, ids never change, memory does not grow with the clip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.errors import MaskError, MediaError
from agss_model.flow import FlowEstimator, build_flow
from agss_model.flow.motion import moved
from agss_model.masks.labels import BoolMask
from agss_model.network.base import AGSSVOS, Features, Question, Sighting
from agss_model.system.timing import Clock
from agss_model.tracking import state as tracker_state
from agss_model.tracking.clues import Observer, Regions, TrackedFrame
from agss_model.tracking.frames import (
    Geometry,
    annotated,
    check_frame,
    check_masks,
    predicted,
    to_carried,
    to_image,
    to_label_map,
    typical_side,
)
from agss_model.tracking.memory import Entry, Memory, Recalled
from agss_model.tracking.parts import without_false_parts
from agss_model.tracking.quality import Quality, Trust, assess, reach
from agss_model.tracking.results import FrameResult
from agss_model.tracking.state import Seen, Snapshot

MAX_OBJECTS = 255
CONFIDENT = 0.5
"""Mean score from which a tracked frame is remembered beyond the next."""


class Tracker:
    """One video, frame by frame, with any number of objects in one pass.

    Args:
        network: in eval mode, on the device to be used; several trackers may share one.
        flow: aligns the masks of the frame before; None for what the network's configuration names.

    Attributes:
        observed: work out `clues` even where the network has no head for scores that needs them.
        clues: (N, F) float32 of the last tracked frame, see `tracking.clues`; None where they were not worked out.

    Example:
        >>> tracker = Tracker(load_model("lite"))                    # doctest: +SKIP
        >>> tracker.add(first_frame, {1: mask_of_one, 2: mask_of_two})   # doctest: +SKIP
        >>> result = tracker.step(next_frame)                        # doctest: +SKIP
    """

    def __init__(self, network: AGSSVOS, *, flow: FlowEstimator | None = None) -> None:
        self.network = network
        self.flow: FlowEstimator | None = None
        if network.config.use_flow:
            self.flow = flow if flow is not None else build_flow(network.config.flow)
        self.device = next(network.parameters()).device
        self.clock: Clock = network.clock
        config = network.config
        self.memory = Memory(config.max_references, config.max_recent, config.recent_stride, config.human_weight)
        self._seen: Seen | None = None
        self._ids: tuple[int, ...] = ()
        self._masks = torch.zeros(0)  # (N, h, w) carried
        self._lost = torch.zeros(0, dtype=torch.bool)
        self._result: FrameResult | None = None
        self._observer = Observer()
        self.observed = False
        self.clues: Tensor | None = None

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects being tracked, ascending."""
        return self._ids

    @property
    def frame_index(self) -> int | None:
        """Number of the last frame; None before the first."""
        return self._seen.index if self._seen else None

    @property
    def geometry(self) -> Geometry | None:
        """Sizes of the clip; None before the first frame."""
        return self._seen.geometry if self._seen else None

    @torch.inference_mode()
    def step(self, frame: npt.NDArray[np.uint8], frame_index: int | None = None) -> FrameResult:
        """Find every object in the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB; grey and RGBA are accepted.
            frame_index: its number; None counts on from the last. Backward tracking passes falling numbers.

        Raises:
            MaskError: nothing is tracked yet.
            MediaError: the frame cannot be used, or has another size than the first.
        """
        if not self._ids:
            raise MaskError("Nothing to track yet; give masks first with add(frame, {id: mask}).")
        frame = check_frame(frame)
        return self._track(*self._look(frame, self._next_index(frame_index), self._geometry(frame)))

    @torch.inference_mode()
    def add(
        self, frame: npt.NDArray[np.uint8], masks: Mapping[int, BoolMask], frame_index: int | None = None
    ) -> FrameResult:
        """Give masks on a frame: of new objects, or of tracked ones as a correction; they become a lasting reference.

        Objects tracked before and not named are tracked into this frame first. Where masks overlap a tracked object,
        the given ones win.

        Args:
            frame: (H, W, 3) uint8 RGB.
            masks: for each object id (H, W) bool; they must not overlap each other. An empty mask says that a tracked
                object is not in this frame.
            frame_index: number of the frame; None for the one after the last, the last number to correct that frame.

        Raises:
            MaskError: no masks, a wrong size or id, overlapping masks, a new object without a pixel, or too many.
            MediaError: as `step`.
        """
        frame, geometry = self._check(frame, masks, set(self._ids) | set(masks))
        masks = {int(i): np.asarray(mask, dtype=bool) for i, mask in masks.items()}
        index, seen = self._next_index(frame_index), self._seen
        if seen is not None and seen.features is not None and seen.index == index:
            return self._annotate(masks, seen, seen.features)
        seen, features = self._look(frame, index, geometry)
        if self._ids:
            self._track(seen, features)
        return self._annotate(masks, seen, features)

    @torch.inference_mode()
    def add_reference(self, frame: npt.NDArray[np.uint8], masks: Mapping[int, BoolMask], frame_index: int) -> None:
        """Remember a human frame from elsewhere in the clip, without moving there.

        Args:
            frame: (H, W, 3) uint8 RGB.
            masks: for each object id (H, W) bool; ids not tracked here are left out.
            frame_index: its number.

        Raises:
            MaskError: as `add`.
            MediaError: as `step`.
        """
        frame, geometry = self._check(frame, masks, ())
        wanted = {i: m for i, m in masks.items() if i in self._ids}
        if not wanted:
            return
        features = self.network.encode(to_image(frame, geometry, self.device))
        ids = tuple(sorted(wanted))
        carried = torch.stack([to_carried(wanted[i], geometry) for i in ids]).to(self.device)
        known = torch.ones(len(ids), dtype=torch.bool, device=self.device)
        self.memory.add_permanent(Entry.of(self.network, frame_index, ids, features, carried, known))

    def remove(self, ids: Iterable[int]) -> None:
        """End objects; the others keep their ids.

        Raises:
            MaskError: an id is not being tracked.
        """
        leaving = set(ids)
        if unknown := leaving - set(self._ids):
            raise MaskError(f"Object {sorted(unknown)[0]} is not being tracked; tracked are {list(self._ids)}.")
        rows = [row for row, object_id in enumerate(self._ids) if object_id not in leaving]
        self._ids = tuple(self._ids[row] for row in rows)
        self._masks, self._lost = self._masks[rows], self._lost[rows]
        self.memory.forget(leaving)

    def snapshot(self) -> Snapshot:
        """What the tracker holds now; the tensors are its own, so they must not be written to."""
        memory = self.memory
        return Snapshot(
            seen=self._seen,
            ids=self._ids,
            masks=self._masks,
            lost=self._lost,
            permanent=tuple(memory.permanent),
            recent=tuple(memory.recent),
            previous=memory.previous,
            since=memory.since,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from what a tracker of the same network held; whatever this one held is gone."""
        memory = self.memory
        self._seen, self._result = snapshot.seen, None
        self._ids, self._masks, self._lost = snapshot.ids, snapshot.masks, snapshot.lost
        memory.permanent, memory.recent = list(snapshot.permanent), list(snapshot.recent)
        memory.previous, memory.since = snapshot.previous, snapshot.since

    def save(self, path: Path) -> None:
        """Write everything needed to continue, atomically; see `agss_model.tracking.state`."""
        tracker_state.save(self.snapshot(), self.network.config, path)

    @classmethod
    def load(cls, path: Path, network: AGSSVOS, flow: FlowEstimator | None = None) -> Tracker:
        """Continue where `save` was called: the same frames give the same masks.

        Raises:
            WeightsError: the file is damaged or was written with another network's settings.
        """
        tracker = cls(network, flow=flow)
        tracker.restore(tracker_state.load(path, network.config, tracker.device))
        return tracker

    def _next_index(self, given: int | None) -> int:
        if given is None:
            return 0 if self.frame_index is None else self.frame_index + 1
        if given < 0:
            raise MediaError(f"Frame number {given} is negative; frames count from 0.")
        return int(given)

    def _geometry(self, frame: npt.NDArray[np.uint8], masks: Iterable[BoolMask] = ()) -> Geometry:
        """Sizes of the clip; the first frame and its masks decide."""
        height, width = frame.shape[:2]
        known = self.geometry or Geometry.of(height, width, self.network, typical_side(masks))
        if (height, width) != (known.height, known.width):
            raise MediaError(
                f"This frame is {width}x{height} but the clip began with {known.width}x{known.height}; "
                "start a new tracker for another size."
            )
        return known

    def _check(
        self, frame: npt.NDArray[np.uint8], masks: Mapping[int, BoolMask], together: Collection[int]
    ) -> tuple[npt.NDArray[np.uint8], Geometry]:
        """Refuse masks that cannot be used, or more objects together than can be tracked."""
        if not masks:
            raise MaskError("No masks given; give at least one as {id: (H, W) bool}.")
        frame = check_frame(frame)
        geometry = self._geometry(frame, masks.values())
        check_masks(masks, geometry, self._ids)
        if len(together) > MAX_OBJECTS:
            raise MaskError(
                f"{len(together)} objects at once are too many; at most {MAX_OBJECTS} can be tracked together."
            )
        return frame, geometry

    def _look(self, frame: npt.NDArray[np.uint8], index: int, geometry: Geometry) -> tuple[Seen, Features]:
        """Encode a frame and bring the carried masks to it."""
        image, network, before = to_image(frame, geometry, self.device), self.network, self._seen
        with self.clock.measure("agnostic"):
            features = network.encode(image)
        if len(self._ids) and before is not None and self.flow is not None:
            with self.clock.measure("flow"):
                flow = self.flow(image, before.image)
            with self.clock.measure("warp"):
                self._masks = moved(self._masks, flow, network.mask_stride, network.config.published_grid)
        self._seen = Seen(index, geometry, image, features)
        return self._seen, features

    def _track(self, seen: Seen, features: Features) -> FrameResult:
        """Segment the frame that was looked at; the carried masks are already moved to it."""
        held = self.memory.recall(self._ids)
        before = self._masks
        within = reach(before, self._lost)
        references = [*held.human, *held.tracked]
        asked = Question(references, held.previous, before[None], within=within[None])
        sighting = self.network.see(features, asked)
        found = without_false_parts(sighting.masks[0], self.network, features, held.human)
        with self.clock.measure("score"):
            regions = Regions.of(found, within, before)
            quality = assess(regions, self._lost, self._trust(features, sighting, regions, held))
        self._masks = regions.found * ~quality.lost[:, None, None]
        self._lost = quality.lost
        self._remember_tracked(seen.index, features, quality)
        with self.clock.measure("labels"):
            label_map = to_label_map(self._masks, self._ids, seen.geometry, self.network.config.use_normalisation)
        self._result = predicted(seen.index, self._ids, label_map, quality)
        return self._result

    def _trust(self, features: Features, sighting: Sighting, regions: Regions, held: Recalled) -> Trust | None:
        """What is thought of the masks; None without a head for scores."""
        head = self.network.head
        if not (head or self.observed):
            return None
        frame = TrackedFrame(self.network, features, sighting, regions, self._lost, held.human, held.previous)
        self.clues = self._observer.clues(frame)
        return head(self.clues) if head is not None and self.clues is not None else None

    def _remember_tracked(self, index: int, features: Features, quality: Quality) -> None:
        if not (self.network.reads_previous or self.network.config.max_recent):
            return
        present = quality.score[~quality.lost]
        confident = bool(len(present)) and float(present.mean()) >= CONFIDENT
        lasting = self.memory.keeps(confident=confident)
        known = ~self._lost
        entry = Entry.of(self.network, index, self._ids, features, self._masks, known, lasting=lasting)
        self.memory.advance(entry, confident=confident)

    def _annotate(self, masks: Mapping[int, BoolMask], seen: Seen, features: Features) -> FrameResult:
        """Put given masks over what was tracked, and keep the frame as a reference."""
        geometry, index = seen.geometry, seen.index
        tracked = self._result if self._result is not None and self._result.frame_index == index else None
        self._join(set(masks), geometry)
        given = {i: to_carried(m, geometry).to(self.device) for i, m in masks.items()}
        free = 1 - torch.stack(list(given.values())).amax(0)
        self._masks = self._masks * free
        for object_id, carried in given.items():
            self._masks[self._ids.index(object_id)] = carried
            self._lost[self._ids.index(object_id)] = not bool(masks[object_id].any())
        entry = Entry.of(self.network, index, self._ids, features, self._masks, ~self._lost)
        self.memory.add_permanent(entry.knowing(torch.tensor([i in masks for i in self._ids], device=self.device)))
        self.memory.previous = entry
        self._result = annotated(tracked, masks, index, self._ids, (geometry.height, geometry.width))
        return self._result

    def _join(self, ids: set[int], geometry: Geometry) -> None:
        """Make room for new objects; slots stay in ascending order of ids."""
        every = tuple(sorted(ids | set(self._ids)))
        masks = torch.zeros(len(every), *geometry.carried, device=self.device)
        lost = torch.zeros(len(every), dtype=torch.bool, device=self.device)
        for row, object_id in enumerate(self._ids):
            masks[every.index(object_id)] = self._masks[row]
            lost[every.index(object_id)] = self._lost[row]
        self._ids, self._masks, self._lost = every, masks, lost
