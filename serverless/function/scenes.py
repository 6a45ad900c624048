"""Tracking between two requests: from states and a frame to shapes and new states, all objects in one pass.

A request is answered from what it holds and nothing else; the feature cache only saves looking at a picture twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.errors import MediaError
from agss_model.flow import FlowEstimator, build_flow
from agss_model.masks import mask_to_shape
from agss_model.masks.labels import BoolMask
from agss_model.network.base import AGSSVOS
from agss_model.tracking.frames import Geometry, to_carried, to_slots, typical_side
from agss_model.tracking.state import Snapshot
from agss_model.tracking.tracker import Tracker
from serverless.function.assembly import Assembler, adapted, cache_name, common_geometry
from serverless.function.cache import FeatureCache, memorable
from serverless.function.contract import RequestError, ShapeMessage
from serverless.function.drawing import drawn
from serverless.function.pictures import FAINT_BYTES, Picture, encode
from serverless.function.state import ObjectState, SeenFrame

Frame = npt.NDArray[np.uint8]
SHARED_BYTES = 4_000_000
"""Limit on the pictures in one answer that some objects carry for others; beyond it the faint copies must do."""
DRAWN_COPIES = 2
"""Objects that carry the picture of a frame in which a person drew: it never comes again. Others are carried once."""


@dataclass(frozen=True)
class FollowedObject:
    """One object in the new frame.

    Attributes:
        points: of the shape in the object's own type; None where it is lost and its type allows to say so.
        state: to go on from.
    """

    points: list[float] | None
    state: ObjectState


class Scenes:
    """Starts and follows objects with one network."""

    def __init__(self, network: AGSSVOS, cache: FeatureCache, flow: FlowEstimator | None = None) -> None:
        self.network, self.cache = network, cache
        config = network.config
        self._flow = (flow or build_flow(config.flow)) if config.use_flow else None
        self._assembler = Assembler(network, cache, self._flow)

    def start(self, frame: Frame, shapes: Sequence[ShapeMessage]) -> list[ObjectState]:
        """States of new objects; the network is not needed for them.

        Args:
            frame: (H, W, 3) uint8 RGB, on which the shapes were drawn.
            shapes: one for each object.

        Raises:
            UnusableError: a shape covers no pixel of the frame.
            MaskError: its numbers are no shape.
        """
        masks = drawn(frame, shapes)
        height, width = frame.shape[:2]
        geometry = Geometry.of(height, width, self.network, typical_side(masks))
        picture = encode(frame, geometry.working)
        states = [
            ObjectState(
                kind=shape.type,
                bare=shape.bare,
                size=(height, width),
                working=geometry.working,
                lost=False,
                since=0,
                box=tuple(mask_to_shape("rectangle", mask)) if shape.type == "rectangle" else None,
                frames=(SeenFrame(picture.digest, _bytes(to_carried(mask, geometry)), kept=True),),
                pictures={},
            )
            for shape, mask in zip(shapes, masks, strict=True)
        ]
        order = sorted(range(len(states)), key=lambda slot: states[slot].identity)
        ready = shared_out([states[slot] for slot in order], {picture.digest: picture})
        return [state for _, state in sorted(zip(order, ready, strict=True), key=lambda pair: pair[0])]

    @torch.inference_mode()
    def follow(self, frame: Frame, states: Sequence[ObjectState]) -> list[FollowedObject]:
        """Find objects in the next frame; equal states are one object.

        Args:
            frame: (H, W, 3) uint8 RGB.
            states: of the objects; they may have been started on different frames and met different ones since.

        Raises:
            RequestError: a state is of frames of another size, or they name too many frames.
            MediaError: a picture in a state is damaged.
        """
        if not states:
            return []
        self.cache.begin()
        known = {state.identity: state for state in sorted(states, key=lambda state: state.identity)}
        geometry = common_geometry(self.network, (frame.shape[0], frame.shape[1]), list(known.values()))
        pictures = {digest: picture for state in states for digest, picture in state.pictures.items()}
        together = adapted(list(known.values()), geometry, pictures)
        target = encode(frame, geometry.working)
        tracker = Tracker(self.network, flow=self._flow)
        tracker.restore(self._assembler.snapshot(together, geometry, pictures))
        tracker.step(target.pixels(geometry.working))
        after = tracker.snapshot()
        if after.seen is not None and after.seen.features is not None:
            self.cache.put(cache_name(target, geometry), memorable(after.seen.features))
        owner = to_slots(after.masks, geometry, self.network.config.use_normalisation).astype(np.uint8)
        pictures[target.digest] = target
        moved = [
            replace(
                state,
                lost=bool(after.lost[slot]),
                since=after.since,
                frames=self._seen(state, slot, after, target),
            )
            for slot, state in enumerate(together)
        ]
        answers = {
            identity: _answered(state, owner == slot + 1)
            for slot, (identity, state) in enumerate(zip(known, shared_out(moved, pictures), strict=True))
        }
        return [answers[state.identity] for state in states]

    def problem(self, frame: Frame, state: ObjectState) -> RequestError | MediaError | None:
        """What keeps one object from being followed into a frame, whatever the others are."""
        try:
            common_geometry(self.network, (frame.shape[0], frame.shape[1]), [state])
            for picture in state.pictures.values():
                picture.pixels(state.working)
        except (RequestError, MediaError) as problem:
            return problem
        return None

    def _seen(self, state: ObjectState, slot: int, after: Snapshot, target: Picture) -> tuple[SeenFrame, ...]:
        """What the object remembers now: its first frame, the newest of those kept since, and this one."""
        keep = bool(after.recent) and after.seen is not None and after.recent[-1].frame_index == after.seen.index
        before = [frame for frame in state.recent if frame.digest != target.digest]
        room = self.network.config.max_recent - keep
        now = SeenFrame(target.digest, _bytes(after.masks[slot]), keep)
        return state.drawn, *(before[-room:] if room > 0 else ()), now


def _answered(state: ObjectState, mask: BoolMask) -> FollowedObject:
    """The answer in the object's own type; a rectangle that is lost stays where it was."""
    points = mask_to_shape(state.kind, mask) if mask.any() else None
    if state.kind != "rectangle":
        return FollowedObject(points, state)
    box = points or list(state.box or ())
    return FollowedObject(box, replace(state, box=tuple(box)))


def _bytes(mask: Tensor) -> npt.NDArray[np.uint8]:
    """(h, w) float in [0, 1] -> uint8 in 255ths."""
    values: npt.NDArray[np.uint8] = (mask * 255).round().to(torch.uint8).cpu().numpy()
    return values


def shared_out(states: Sequence[ObjectState], pictures: Mapping[str, Picture]) -> list[ObjectState]:
    """The same objects, each with the pictures it carries, so that together they lose nothing and each can go on alone.

    Pictures that lose nothing are large and the same for all objects, so one or two carry each of them. The others
    carry a faint copy of the two pictures without which an object cannot go on, and it counts only where the true one
    did not come.

    Args:
        states: all objects of an answer, in an order that does not depend on the request's; their pictures are ignored.
        pictures: of every frame they name, and faint copies made before.
    """
    shares = _shares(states, pictures)
    every = dict(pictures)
    copies = {frame.digest: frame.faint for s in states for frame in s.frames if frame.faint in pictures}
    return [_carrying(state, share, every, copies) for state, share in zip(states, shares, strict=True)]


def _shares(states: Sequence[ObjectState], pictures: Mapping[str, Picture]) -> list[set[str]]:
    """The true pictures that each object carries for all. Those that most objects know go first; turns are taken."""
    knowing: dict[str, list[int]] = {}
    for slot, state in enumerate(states):
        for digest in {frame.digest for frame in state.frames}:
            knowing.setdefault(digest, []).append(slot)
    drawn = {state.drawn.digest for state in states}
    shares: list[set[str]] = [set() for _ in states]
    room, turn = SHARED_BYTES, 0
    for digest in sorted(knowing, key=lambda digest: (-len(knowing[digest]), digest)):
        slots = knowing[digest]
        copies = min(DRAWN_COPIES if digest in drawn else 1, len(slots))
        if (size := copies * len(pictures[digest].data)) > room:
            continue
        room -= size
        for _ in range(copies):
            shares[slots[turn % len(slots)]].add(digest)
            turn += 1
    return shares


def _carrying(
    state: ObjectState, share: set[str], pictures: dict[str, Picture], copies: dict[str, str | None]
) -> ObjectState:
    """An object with its share, and its first and its last frame in some form; new copies are added to both."""
    frames, carried = list(state.frames), set(share)
    for place in {0, len(frames) - 1}:
        digest = frames[place].digest
        if digest not in share and len(pictures[digest].data) > FAINT_BYTES:
            if copies.get(digest) is None:
                copy = pictures[digest].faint()
                pictures[copy.digest], copies[digest] = copy, copy.digest
            frames[place] = replace(frames[place], faint=copies[digest])
            digest = copies[digest] or ""
        carried.add(digest)
    return replace(state, frames=tuple(frames), pictures={digest: pictures[digest] for digest in sorted(carried)})
