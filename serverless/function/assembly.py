"""From the states of one request to what a tracker of all their objects holds.

Objects of several scenes are tracked together: every frame that one of them remembers is a reference, which knows only
the objects drawn or found there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.flow import FlowEstimator
from agss_model.flow.motion import moved
from agss_model.network.base import AGSSVOS, Features
from agss_model.tracking.frames import Geometry, to_image
from agss_model.tracking.memory import Entry
from agss_model.tracking.state import Seen, Snapshot
from serverless.function.cache import FeatureCache, memorable
from serverless.function.contract import TooLargeError, UnusableError
from serverless.function.pictures import Picture
from serverless.function.state import ObjectState, SeenFrame

MAX_PICTURES = 64
"""Different frames that the states of one request may name; each is looked at by the network."""
MAX_LOOKED_AT = 1600
"""Those frames times the objects: a hundred objects with sixteen, or forty that were started on a frame each. Every
object takes about 0.6 MB for each frame at 640x352, and 1.4 MB at 960x544."""

Mask = npt.NDArray[np.uint8]


def common_geometry(network: AGSSVOS, size: tuple[int, int], states: Sequence[ObjectState]) -> Geometry:
    """Sizes for all objects of a request: the largest working size of their states that this network takes.

    Args:
        network: whose configuration decides.
        size: (height, width) of the frame.
        states: at least one.

    Raises:
        UnusableError: a state is of frames of another size.
    """
    for state in states:
        if state.size != size:
            raise UnusableError(
                f"A state is of frames of {state.size[1]}x{state.size[0]} pixels, this one has {size[1]}x{size[0]}; "
                "it belongs to another video."
            )
    least, most = (Geometry.of(*size, network, object_side).working for object_side in (0.0, 1.0))
    wanted = max(state.working for state in states)
    sides = zip(least, wanted, most, strict=True)
    usable = all(low <= side <= high and side % network.stride == 0 for low, side, high in sides)
    working = wanted if usable else least
    return Geometry(*size, working, (working[0] // network.mask_stride, working[1] // network.mask_stride))


def adapted(states: Sequence[ObjectState], geometry: Geometry, pictures: Mapping[str, Picture]) -> list[ObjectState]:
    """The states at a common working size, without the frames whose pictures did not come.

    Raises:
        TooLargeError: they name too many frames, for so many objects or at all.
    """
    fitted = []
    for state in states:
        frames = (frame for each in state.frames if (frame := each.among(pictures)))
        same = tuple(replace(frame, mask=_fitted(frame.mask, geometry.carried)) for frame in frames)
        fitted.append(replace(state, working=geometry.working, frames=same))
    count = len({frame.digest for state in fitted for frame in state.frames})
    if count > MAX_PICTURES:
        raise TooLargeError(f"The objects were started on more than {MAX_PICTURES} frames; track fewer at a time.")
    if count * len(fitted) > MAX_LOOKED_AT:
        raise TooLargeError(
            f"{len(fitted)} objects that remember {count} different frames are too many to look at together; "
            f"track {MAX_LOOKED_AT // count} at a time."
        )
    return fitted


class Assembler:
    """Builds snapshots for one network."""

    def __init__(self, network: AGSSVOS, cache: FeatureCache, flow: FlowEstimator | None) -> None:
        self.network, self.cache, self.flow = network, cache, flow
        self.device = next(network.parameters()).device

    def snapshot(self, states: Sequence[ObjectState], geometry: Geometry, pictures: Mapping[str, Picture]) -> Snapshot:
        """What a tracker of these objects holds; it lives at the working size, and object k + 1 is `states[k]`.

        Args:
            states: `adapted`.
            geometry: common to them.
            pictures: of every frame they name.
        """
        ids = tuple(range(1, len(states) + 1))
        masks, here = self._carried(states, geometry, pictures)
        lost = torch.tensor([state.lost for state in states], device=self.device)
        drawn = _by_picture([[state.drawn] for state in states])
        recent = _by_picture([state.recent for state in states])
        entries = [self._entry(n, pictures[d], masks, geometry, ids) for n, (d, masks) in enumerate([*drawn, *recent])]
        last = len(entries)
        own_size = replace(geometry, height=geometry.working[0], width=geometry.working[1])
        return Snapshot(
            seen=Seen(last, own_size, self._image(here, geometry)),
            ids=ids,
            masks=masks,
            lost=lost,
            permanent=tuple(entries[: len(drawn)]),
            recent=tuple(entries[len(drawn) :]),
            previous=Entry.of(self.network, last, ids, self.features(here, geometry), masks, ~lost, lasting=False),
            since=max(state.since for state in states),
        )

    def features(self, picture: Picture, geometry: Geometry) -> Features:
        """What a memory needs of a picture, from the cache or by looking at it."""
        name = cache_name(picture, geometry)
        rows, columns = (side // self.network.stride for side in geometry.working)
        features = self.cache.get(name, self.device, (rows, columns))
        if features is None:
            features = memorable(self.network.encode(self._image(picture, geometry)))
            self.cache.put(name, features)
        return features

    def _carried(
        self, states: Sequence[ObjectState], geometry: Geometry, pictures: Mapping[str, Picture]
    ) -> tuple[Tensor, Picture]:
        """(N, h, w) masks in the last frame of most objects, and that frame.

        Objects that were last seen in another frame are brought to it along the flow.
        """
        masks = torch.stack([_floats(state.frames[-1].mask) for state in states]).to(self.device)
        last = [state.frames[-1].digest for state in states]
        counts = Counter(last)
        here = min(counts, key=lambda digest: (-counts[digest], digest))
        for digest in sorted(counts.keys() - {here}):
            rows = [slot for slot, own in enumerate(last) if own == digest]
            source, target = (self._image(pictures[name], geometry) for name in (digest, here))
            masks[rows] = self._moved(masks[rows], source, target)
        return masks, pictures[here]

    def _moved(self, masks: Tensor, source: Tensor, target: Tensor) -> Tensor:
        if self.flow is None:
            return masks
        network = self.network
        return moved(masks, self.flow(target, source), network.mask_stride, network.config.published_grid)

    def _entry(
        self, number: int, picture: Picture, masks: Mapping[int, Mask], geometry: Geometry, ids: tuple[int, ...]
    ) -> Entry:
        """A frame that knows some of the objects, those that were drawn or found in it."""
        carried = torch.zeros(len(ids), *geometry.carried, device=self.device)
        for slot, mask in masks.items():
            carried[slot] = _floats(mask).to(self.device)
        known = torch.tensor([slot in masks for slot in range(len(ids))])
        return Entry.of(self.network, number, ids, self.features(picture, geometry), carried, known.to(self.device))

    def _image(self, picture: Picture, geometry: Geometry) -> Tensor:
        return to_image(picture.pixels(geometry.working), geometry, self.device)


def _by_picture(frames: Sequence[Sequence[SeenFrame]]) -> list[tuple[str, dict[int, Mask]]]:
    """Frames in the order in which they are met, each with the masks of the objects that are known there, by slot."""
    found: dict[str, dict[int, Mask]] = {}
    for slot, own in enumerate(frames):
        for frame in own:
            known = found.setdefault(frame.digest, {})
            if frame.mask.any():  # a frame in which all objects were lost is a reference nevertheless
                known[slot] = frame.mask
    return list(found.items())


def cache_name(picture: Picture, geometry: Geometry) -> str:
    """What the network saw depends on the picture and on the size at which it was looked at."""
    return f"{picture.digest} {geometry.working[0]}x{geometry.working[1]}"


def _fitted(mask: Mask, size: tuple[int, int]) -> Mask:
    if mask.shape == size:
        return mask
    return np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8).reshape(size)


def _floats(mask: Mask) -> Tensor:
    return torch.from_numpy(mask.astype(np.float32) / 255)
