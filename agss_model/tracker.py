"""Tracking as a stream: masks are welcome on any frame, ids never change, memory does not grow with the clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from agss_model import tracker_state
from agss_model.clues import Frame, Observer
from agss_model.errors import ConfigError, MaskError, MediaError
from agss_model.flow import FlowEstimator, build_flow
from agss_model.flow.warp import warp
from agss_model.frames import Geometry, check_frame, check_mask_size, to_carried, to_image, to_slots, typical_side
from agss_model.masks.labels import BoolMask, LabelMap, validate_object_id
from agss_model.memory import Entry, Memory, Recalled
from agss_model.network.base import AGSSVOS, Features, Sighting
from agss_model.parts import without_false_parts
from agss_model.quality import Quality, assess, reach
from agss_model.regions import Regions
from agss_model.results import FrameResult, annotated, id_type, predicted
from agss_model.scoring import Trust
from agss_model.timing import Clock

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
        clues: (N, F) float32 of the last tracked frame, see `agss_model.clues`; None where they were not worked out.

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
        self.frame_index: int | None = None
        self.geometry: Geometry | None = None
        self._ids: tuple[int, ...] = ()
        self._masks = torch.zeros(0)  # (N, h, w) carried
        self._lost = torch.zeros(0, dtype=torch.bool)
        self._image: Tensor | None = None
        self._features: Features | None = None
        self._result: FrameResult | None = None
        self._observer = Observer()
        self.observed = False
        self.clues: Tensor | None = None

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects being tracked, ascending."""
        return self._ids

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
        self._look(frame, self._next_index(frame_index))
        return self._track()

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
        checked = self._check(frame, masks)
        index = self._next_index(frame_index)
        same = index == self.frame_index and self._features is not None
        if not same:
            self._look(frame, index)
            if self._ids:
                self._track()
        return self._annotate(checked, index)

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
        self._check(frame, masks, existing_only=True)
        wanted = {i: m for i, m in masks.items() if i in self._ids}
        if not wanted:
            return
        geometry = self._geometry(frame)
        features = self.network.encode(to_image(check_frame(frame), geometry, self.device))
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

    def save(self, path: Path) -> None:
        """Write everything needed to continue, atomically; see `agss_model.tracker_state`."""
        tracker_state.save(self, path)

    @classmethod
    def load(cls, path: Path, network: AGSSVOS, flow: FlowEstimator | None = None) -> Tracker:
        """Continue where `save` was called: the same frames give the same masks.

        Raises:
            WeightsError: the file is damaged or was written with another network's settings.
        """
        tracker = cls(network, flow=flow)
        tracker_state.load(tracker, path)
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
        self, frame: npt.NDArray[np.uint8], masks: Mapping[int, BoolMask], *, existing_only: bool = False
    ) -> dict[int, BoolMask]:
        if not masks:
            raise MaskError("No masks given; give at least one as {id: (H, W) bool}.")
        geometry = self._geometry(check_frame(frame), masks.values())
        total = np.zeros((geometry.height, geometry.width), dtype=bool)
        for object_id, mask in masks.items():
            validate_object_id(object_id)
            check_mask_size(mask, geometry)
            if not mask.any() and object_id not in self._ids:
                raise MaskError(f"The mask of object {object_id} has no pixel; draw it, or leave the object out.")
            if (total & mask).any():
                raise MaskError(f"The mask of object {object_id} overlaps another; a pixel belongs to one object.")
            total |= mask
        count = len(set(self._ids) | set(masks)) if not existing_only else 0
        if count > MAX_OBJECTS:
            raise MaskError(f"{count} objects at once are too many; at most {MAX_OBJECTS} can be tracked together.")
        self.geometry = geometry
        return {int(i): np.asarray(m, dtype=bool) for i, m in masks.items()}

    def _look(self, frame: npt.NDArray[np.uint8], index: int) -> None:
        """Encode a frame and bring the carried masks to it."""
        frame = check_frame(frame)
        geometry = self._geometry(frame)
        image = to_image(frame, geometry, self.device)
        with self.clock.measure("agnostic"):
            features = self.network.encode(image)
        if len(self._ids) and self._image is not None and self.flow is not None:
            with self.clock.measure("flow"):
                flow = self.flow(image, self._image)
            with self.clock.measure("warp"):
                self._masks = self._moved(flow)
        self._image, self._features, self.frame_index = image, features, index

    def _moved(self, flow: Tensor) -> Tensor:
        stride = self.network.mask_stride
        if stride > 1:
            flow = F.avg_pool2d(flow, stride) / stride
        return warp(self._masks[None], flow, self.network.config.published_grid)[0].clamp(0, 1)

    def _track(self) -> FrameResult:
        """Segment the frame that was looked at; the carried masks are already moved to it."""
        features, geometry = self._features, self.geometry
        if features is None or geometry is None:
            raise ConfigError("No frame has been looked at.")
        held = self.memory.recall(self._ids)
        moved = self._masks
        within = reach(moved, self._lost)
        references = [*held.human, *held.tracked]
        sighting = self.network.see(features, references, held.previous, moved[None], within[None])
        found = without_false_parts(sighting.masks[0], self.network, features, held.human)
        with self.clock.measure("score"):
            regions = Regions.of(found, within, moved)
            quality = assess(regions, self._lost, self._trust(sighting, regions, held))
        self._masks = regions.found * ~quality.lost[:, None, None]
        self._lost = quality.lost
        self._remember_tracked(quality)
        with self.clock.measure("labels"):
            label_map = self._label_map()
        index = self.frame_index or 0
        self._result = predicted(index, self._ids, label_map, quality)
        return self._result

    def _trust(self, sighting: Sighting, regions: Regions, held: Recalled) -> Trust | None:
        """What is thought of the masks; None without a head for scores."""
        head, features = self.network.head, self._features
        if features is None or not (head or self.observed):
            return None
        frame = Frame(self.network, features, sighting, regions, self._lost, held.human, held.previous)
        self.clues = self._observer.clues(frame)
        return head(self.clues) if head is not None and self.clues is not None else None

    def _remember_tracked(self, quality: Quality) -> None:
        features = self._features
        if features is None or not (self.network.reads_previous or self.network.config.max_recent):
            return
        present = quality.score[~quality.lost]
        confident = bool(len(present)) and float(present.mean()) >= CONFIDENT
        lasting = self.memory.keeps(confident=confident)
        index, known = self.frame_index or 0, ~self._lost
        entry = Entry.of(self.network, index, self._ids, features, self._masks, known, lasting=lasting)
        self.memory.advance(entry, confident=confident)

    def _label_map(self) -> LabelMap:
        """Ids at every pixel of the frame."""
        if self.geometry is None:
            raise ConfigError("No frame has been looked at.")
        slots = to_slots(self._masks, self.geometry, self.network.config.use_normalisation)
        names: LabelMap = np.array([0, *self._ids], dtype=id_type(self._ids))
        return np.take(names, slots)

    def _annotate(self, masks: dict[int, BoolMask], index: int) -> FrameResult:
        """Put given masks over what was tracked, and keep the frame as a reference."""
        geometry, features = self.geometry, self._features
        if geometry is None or features is None:
            raise ConfigError("No frame has been looked at.")
        tracked = self._result if self._result is not None and self._result.frame_index == index else None
        self._join(set(masks))
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

    def _join(self, ids: set[int]) -> None:
        """Make room for new objects; slots stay in ascending order of ids."""
        if self.geometry is None:
            return
        every = tuple(sorted(ids | set(self._ids)))
        masks = torch.zeros(len(every), *self.geometry.carried, device=self.device)
        lost = torch.zeros(len(every), dtype=torch.bool, device=self.device)
        for row, object_id in enumerate(self._ids):
            masks[every.index(object_id)] = self._masks[row]
            lost[every.index(object_id)] = self._lost[row]
        self._ids, self._masks, self._lost = every, masks, lost
