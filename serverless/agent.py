"""A tracking function for cvat-sdk's agent (CVAT Online and Enterprise), all objects of a request in one pass.

    cvat-cli function create-native "AGSS-VOS" --function-module serverless.agent
    cvat-cli function run-agent ID --function-module serverless.agent -p device=str:cuda

The protocol asks for one object at a time and tells neither frame nor siblings. But within a request all calls get the
same picture object, and objects that met in one request mostly meet again in the next. So the first call with a new
picture follows every object that was in the same request as the asked one before, and the others read what was found.
Objects that were started later, or left behind and taken up again, are followed apart in the first request in which
they meet, and together from then on. A state changes only when its own object is asked for.
"""

from __future__ import annotations

import logging
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from agss_model.engines.loading import default_weights, pick_device
from agss_model.errors import AgssError, ConfigError
from agss_model.masks.cvat_shapes import SHAPE_TYPES
from serverless.function.contract import MAX_OBJECTS, ShapeMessage
from serverless.function.scenes import FollowedObject, Frame, Scenes
from serverless.function.service import build_scenes
from serverless.function.settings import FunctionSettings
from serverless.function.state import ObjectState

if TYPE_CHECKING:
    from cvat_sdk.auto_annotation import (
        TrackableShape,
        TrackingFunctionContext,
        TrackingFunctionShapeContext,
        TrackingFunctionSpec,
    )
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class RequestPicture:
    """The picture of one request; its identity is what joins the calls of that request.

    Attributes:
        frame: (H, W, 3) uint8 RGB.
    """

    frame: Frame


@dataclass(eq=False)
class TrackedObject:
    """One object between two requests, as the agent keeps it.

    Attributes:
        state: to go on from; None once it was dropped to make room.
        met: the request in which it was asked for last.
    """

    state: ObjectState | None
    met: object


class AgssFunction:
    """What the agent calls; see `create`.

    Args:
        scenes: what starts and follows objects.
        max_states: objects whose states are kept; the oldest go when there are more.
    """

    def __init__(self, scenes: Scenes, max_states: int = 1000) -> None:
        if max_states < 1:
            raise ConfigError(f"max_states is {max_states}; it must be at least 1.")
        self._scenes, self._max_states = scenes, max_states
        self._kept: deque[weakref.ref[TrackedObject]] = deque()
        self._picture: RequestPicture | None = None
        self._request = object()
        self._found: dict[TrackedObject, FollowedObject] = {}

    @cached_property
    def spec(self) -> TrackingFunctionSpec:
        """The types of shapes that are tracked."""
        from cvat_sdk.auto_annotation import TrackingFunctionSpec

        return TrackingFunctionSpec(supported_shape_types=SHAPE_TYPES)

    def preprocess_image(self, context: TrackingFunctionContext, image: Image) -> RequestPicture:
        """Pixels of a picture; the agent calls this for every request, though the protocol calls it optional."""
        return RequestPicture(np.asarray(image.convert("RGB"), dtype=np.uint8))

    def init_tracking_state(
        self, context: TrackingFunctionShapeContext, pp_image: RequestPicture, shape: TrackableShape
    ) -> TrackedObject:
        """Start an object.

        Raises:
            BadFunctionError: the shape cannot be tracked; the message reaches the user.
        """
        self._enter(pp_image)
        with _told():
            drawn = ShapeMessage(type=shape.type, points=[float(value) for value in shape.points])
            state = self._scenes.start(pp_image.frame, [drawn])[0]
        tracked = TrackedObject(state, self._request)
        self._keep(tracked)
        return tracked

    def track(
        self, context: TrackingFunctionShapeContext, pp_image: RequestPicture, state: TrackedObject
    ) -> TrackableShape | None:
        """Find an object in the next picture.

        Returns:
            A shape of the type it was started with; None where it is lost.

        Raises:
            BadFunctionError: it cannot be followed; the message reaches the user.
        """
        from cvat_sdk.auto_annotation import TrackableShape

        self._enter(pp_image)
        if state not in self._found:
            with _told():
                self._follow(pp_image, state)
        followed = self._found.pop(state)
        state.state, state.met = followed.state, self._request
        if followed.points is None or followed.state.lost:
            return None
        return TrackableShape(type=followed.state.kind, points=followed.points)

    def _enter(self, picture: RequestPicture) -> None:
        """A picture not seen in the call before begins a request; it is held, so that its identity stays its own."""
        if picture is not self._picture:
            self._picture, self._request, self._found = picture, object(), {}

    def _follow(self, picture: RequestPicture, asked: TrackedObject) -> None:
        """Follow the asked object and those that were asked for together with it before."""
        if asked.state is None:
            raise ConfigError("There are too many objects; start tracking this one again.")
        size = asked.state.size
        cast = [asked]
        for reference in self._kept:
            other = reference()
            together = other is not None and other is not asked and other.met is asked.met
            if together and other is not None and other.state is not None and other.state.size == size:
                cast.append(other)
        cast = cast[:MAX_OBJECTS]
        states = [tracked.state for tracked in cast if tracked.state is not None]
        self._found.update(zip(cast, self._scenes.follow(picture.frame, states), strict=True))

    def _keep(self, tracked: TrackedObject) -> None:
        """Count a state; the agent itself lets go of states after eight hours."""
        self._kept.append(weakref.ref(tracked))
        if len(self._kept) > self._max_states:
            self._kept = deque(reference for reference in self._kept if reference() is not None)
        while len(self._kept) > self._max_states:
            oldest = self._kept.popleft()()
            if oldest is not None:
                oldest.state = None


@contextmanager
def _told() -> Iterator[None]:
    """Turn errors into the one kind whose words the agent passes on to the user."""
    from cvat_sdk.auto_annotation import BadFunctionError
    from pydantic import ValidationError

    try:
        yield
    except ValidationError:
        raise BadFunctionError("the shape is no mask, polygon or rectangle, or its points are no numbers") from None
    except AgssError as error:
        raise BadFunctionError(str(error)) from error


def create(
    weights: str | None = None,
    device: str = "auto",
    engine: str = "auto",
    threads: int = 0,
    max_states: int = 1000,
    cache_mib: int = 256,
) -> AgssFunction:
    """The function, as `cvat-cli` makes it from `-p NAME=TYPE:VALUE`.

    Args:
        weights: a name from `agss weights list`, or a .safetensors file; None for the default.
        device: cpu, cuda, cuda:N or mps; auto takes the first GPU, else the CPU.
        engine: torch, onnx, int8, openvino or compile; auto takes the fastest that is installed and has torch's masks.
        threads: CPU threads, 0 for all cores.
        max_states: objects whose states are kept, about 1 MiB each.
        cache_mib: of features kept between requests.

    Raises:
        ConfigError: a setting out of bounds, or a device or engine that is not there.
        WeightsError: weights that cannot be used.
    """
    settings = FunctionSettings(weights or default_weights(), pick_device(device), engine, int(threads), int(cache_mib))
    return AgssFunction(build_scenes(settings, logging.getLogger(__name__).info), int(max_states))
