"""Tracking the frames of a CVAT job, with weights on this machine or with a function deployed in CVAT."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from agss_model.bounded_json import read_json
from agss_model.clips import both_ways, follow, presence_of, propagate
from agss_model.cvat.server.client import CvatError, Server
from agss_model.cvat.server.remote import ServerFrames
from agss_model.engines.loading import Engine
from agss_model.errors import MaskError, WeightsError
from agss_model.files import replacing
from agss_model.masks.cvat_shapes import shape_to_mask
from agss_model.masks.labels import LabelMap, object_ids, to_masks
from agss_model.masks.rle import encode_cvat_mask
from agss_model.ranges import Ids
from agss_model.tracking.frames import annotated
from agss_model.tracking.results import FrameResult
from agss_model.tracking.tracker import Tracker
from serverless.job.read import JobInfo

Maps = Mapping[int, LabelMap]
Absent = Mapping[int, Ids]
"""By position the objects that are not there from then on, until a keyframe shows them again."""


class JobFrames(ServerFrames):
    """Frames of a job in full quality, by position; deleted ones are left out.

    Args:
        server: where they are.
        info: the job.
        frames: number of the frame at each position.
    """

    def __init__(self, server: Server, info: JobInfo, frames: Sequence[int] = ()) -> None:
        super().__init__(partial(server.frame, info.job), f"job {info.job}", info.size, frames)


class Tracking(Protocol):
    """What tracks; frames go by position."""

    def restart(self) -> None:
        """Forget all objects."""

    def follow(self, keyframes: Maps, absent: Absent, order: range) -> Iterator[FrameResult]:
        """Go on along `order`, which may fall; masks of keyframes on the way are taken in."""

    def both(self, keyframes: Maps, absent: Absent, start: int, stop: int) -> Iterator[FrameResult]:
        """Frames `start` to `stop` - 1 from both directions, fused."""

    def save(self, path: Path) -> None:
        """Keep what is needed to go on."""

    def restore(self, path: Path, position: int) -> bool:
        """Go on where `save` was called; False where that is not possible, or was at another position."""


class LocalTracking:
    """With weights on this machine.

    Args:
        source: the frames.
        engine: network and flow.
    """

    def __init__(self, source: JobFrames, engine: Engine) -> None:
        self._source, self._engine = source, engine
        self._tracker = engine.tracker()

    def restart(self) -> None:
        """See `Tracking`."""
        self._tracker = self._engine.tracker()

    def follow(self, keyframes: Maps, absent: Absent, order: range) -> Iterator[FrameResult]:
        """See `Tracking`."""
        drawing = {position: partial(keyframes.__getitem__, position) for position in keyframes}
        return follow(self._source, drawing, self._tracker, order, presence_of(keyframes, absent).gone)

    def both(self, keyframes: Maps, absent: Absent, start: int, stop: int) -> Iterator[FrameResult]:
        """See `Tracking`."""
        engine = self._engine
        return propagate(
            self._source, keyframes, engine.network, start=start, stop=stop, absent=absent, flow=engine.flow
        )

    def save(self, path: Path) -> None:
        """See `Tracking`."""
        self._tracker.save(path)

    def restore(self, path: Path, position: int) -> bool:
        """See `Tracking`."""
        try:
            self._tracker = Tracker.load(path, self._engine.network, self._engine.flow)
        except WeightsError:
            self.restart()
            return False
        return self._tracker.frame_index == position


class FunctionTracking:
    """With a tracker function deployed in CVAT; no picture comes here, and there are no scores.

    Args:
        server: where the function is deployed.
        function: its id.
        info: the job.
        frames: number of the frame at each position.
    """

    def __init__(self, server: Server, function: str, info: JobInfo, frames: Sequence[int]) -> None:
        self._server, self._path = server, f"/api/lambda/functions/{function}"
        self._info, self._frames = info, tuple(frames)
        self._states: dict[int, Any] = {}
        self._position = -1

    def restart(self) -> None:
        """See `Tracking`."""
        self._states = {}

    def follow(self, keyframes: Maps, absent: Absent, order: range) -> Iterator[FrameResult]:
        """See `Tracking`."""
        return self._along(self._states, keyframes, absent, order)

    def both(self, keyframes: Maps, absent: Absent, start: int, stop: int) -> Iterator[FrameResult]:
        """See `Tracking`."""

        def run(keyframes: Maps, order: range, ahead: int | None) -> Iterator[FrameResult]:
            return self._along({}, keyframes, absent, order)

        return both_ways(run, keyframes, start, stop, len(self._frames), absent)

    def save(self, path: Path) -> None:
        """See `Tracking`; states hold what the server signed, so the file is for this user only."""
        with replacing(path, flush=False) as part:
            part.chmod(0o600)
            part.write_text(json.dumps({"position": self._position, "states": self._states}), encoding="utf-8")

    def restore(self, path: Path, position: int) -> bool:
        """See `Tracking`."""
        try:
            data = read_json(path)
            self._states = {int(number): state for number, state in data["states"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.restart()
            return False
        return bool(data["position"] == position)

    def _along(self, states: dict[int, Any], keyframes: Maps, absent: Absent, order: range) -> Iterator[FrameResult]:
        width, height = self._info.size
        gone = presence_of(keyframes, absent).gone
        for position in order:
            for number in gone(position) & states.keys():
                del states[number]
            masks = to_masks(keyframes[position]) if position in keyframes else {}
            tracked = [number for number in states if number not in masks]
            result = FrameResult(position, (), np.zeros((height, width), np.uint8), {})
            if tracked:
                result = self._step(states, tracked, position)
            if masks:
                shapes = [{"type": "mask", "points": encode_cvat_mask(mask)} for mask in masks.values()]
                _, new = self._call("init_tracking", position, len(masks), shapes=shapes)
                states.update(zip(masks, new, strict=True))
                result = annotated(result, masks, position, tuple(sorted(states)), (height, width))
            self._position = position
            yield result

    def _step(self, states: dict[int, Any], tracked: list[int], position: int) -> FrameResult:
        shapes, new = self._call("track", position, len(tracked), states=[states[number] for number in tracked])
        states.update(zip(tracked, new, strict=True))
        width, height = self._info.size
        label_map: LabelMap = np.zeros((height, width), np.uint8)
        for number, shape in zip(tracked, shapes, strict=True):
            if shape is not None:
                label_map[self._mask(shape)] = number
        seen = set(object_ids(label_map))
        return FrameResult(
            frame_index=position,
            object_ids=tuple(sorted(tracked)),
            label_map=label_map,
            scores={number: float(number in seen) for number in tracked},
            lost=frozenset(tracked) - seen,
            reasons={number: () if number in seen else ("lost",) for number in tracked},
        )

    def _mask(self, shape: Any) -> np.ndarray:  # noqa: ANN401 - whatever the function answers
        width, height = self._info.size
        try:
            return shape_to_mask(shape["type"], shape["points"], width=width, height=height)
        except (MaskError, KeyError, TypeError) as error:
            raise CvatError(f"The function answers with a shape that is no mask of the frame: {error}.") from error

    def _call(self, kind: str, position: int, count: int, **what: object) -> tuple[list[Any], list[Any]]:
        info = self._info
        body = {"type": kind, "job": info.job, "task": info.task, "frame": self._frames[position], **what}
        reply = self._server.call(self._path, body)
        states = reply.get("states") if isinstance(reply, dict) else None
        shapes = reply.get("shapes") if isinstance(reply, dict) else None
        if not isinstance(states, list) or len(states) != count:
            raise CvatError("The function answers without one state for each object; is it a tracker for masks?")
        if kind == "track" and (not isinstance(shapes, list) or len(shapes) != count):
            raise CvatError("The function answers without one shape for each object; is it a tracker for masks?")
        return shapes or [], states


def read_function(server: Server, function: str) -> int:
    """Version of a deployed function, after a look at what it can do.

    Raises:
        CvatError: there is none, or it does not track masks.
    """
    about = server.get(f"/api/lambda/functions/{function}")
    if about.get("kind") != "tracker" or "mask" not in (about.get("supported_shape_types") or ()):
        raise CvatError(f"Function {function} does not track masks; deploy AGSS-VOS, or name it with --function-id.")
    return int(about.get("version") or 0)
