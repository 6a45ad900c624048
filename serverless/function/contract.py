"""The messages between CVAT and the function: what may come in, what goes out, and which status says what is wrong.

CVAT shows people only the status, so each has one meaning: 400 the message is not a tracking request, 413 it asks for
more than is allowed, 422 its picture, shapes or states cannot be used, 500 a fault of ours, 503 no room at the moment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agss_model.bounded_json import JsonError, JsonTooLargeError, loads
from agss_model.errors import AgssError
from agss_model.masks.cvat_shapes import ShapeType

MIB: Final = 1 << 20
MAX_IMAGE_TEXT: Final = 128 * MIB
"""Characters of base64; a PNG of 8192x4320 from a video camera fits."""
MAX_SIDE: Final = 8192
MAX_PIXELS: Final = 36_000_000
"""Largest frame: 8K video has 33 million."""
MAX_OBJECT_PIXELS: Final = 1_000_000_000
"""Pixels of a frame times the objects that are started on it: a hundred in 4K, thirty in 8K."""
MAX_OBJECTS: Final = 100
MAX_SHAPE_NUMBERS: Final = 1_000_000
"""Numbers of all masks of one request together: the run lengths of a hundred ragged masks in an 8K image."""
MAX_POLYGON_NUMBERS: Final = 20_000
"""Numbers of all polygons of one request together, two a corner."""
MAX_VALUES: Final = MAX_SHAPE_NUMBERS + 100_000
"""JSON values of one request: its numbers, and what a hundred shapes and states have beside."""
MAX_STATES_TEXT: Final = 32 * MIB
"""Characters of the pictures and masks in all states of one request: a hundred objects started together have 8 million,
as many as were started on a frame each 30 million."""
MAX_BODY: Final = MAX_IMAGE_TEXT + MAX_STATES_TEXT + 16 * MAX_SHAPE_NUMBERS + MIB
"""Bytes of the largest request that keeps all limits; the body limit in function.yaml must not be below it."""


class RequestError(AgssError):
    """A request that is not served; `status` is what CVAT gets to see."""

    status: int = 422


class MalformedError(RequestError):
    """Not a tracking request."""

    status = 400


class TooLargeError(RequestError):
    """More than is allowed."""

    status = 413


class UnusableError(RequestError):
    """A request in the right form whose content cannot be used."""

    status = 422


class Message(BaseModel):
    """Base of all messages: immutable, no guessing of types, unknown keys are not looked at."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


class ShapeMessage(Message):
    """One shape as CVAT writes it.

    Attributes:
        type: of the shape; the answer has the same.
        points: finite numbers; their meaning depends on the type.
        bare: it came as a bare list of numbers, as CVAT before 2.40 writes rectangles; the answer is one, too.
    """

    type: ShapeType
    points: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=4)]
    bare: bool = False

    def to_json(self) -> object:
        """The shape in the form in which it came."""
        return self.points if self.bare else {"type": self.type, "points": self.points}


class Request(Message):
    """What CVAT sends: the frame, and for each object a shape to start from or the state from the frame before."""

    image: str = Field(min_length=1)
    shapes: list[ShapeMessage | None] = []
    states: list[dict[str, Any] | None] = []

    @field_validator("shapes", "states", mode="before")
    @classmethod
    def _accept_null(cls, value: object) -> object:
        return [] if value is None else value

    @field_validator("shapes", mode="before")
    @classmethod
    def _accept_bare_rectangles(cls, value: object) -> object:
        return [_with_form(item) for item in value] if isinstance(value, list) else value

    def objects(self) -> list[tuple[ShapeMessage | None, dict[str, Any] | None]]:
        """Shape and state of every object, in order; an object with a state continues, whatever its shape."""
        count = max(len(self.shapes), len(self.states))
        shapes = [*self.shapes, *[None] * (count - len(self.shapes))]
        states = [*self.states, *[None] * (count - len(self.states))]
        return list(zip(shapes, states, strict=True))


def parse_request(body: object) -> Request:
    """Read an event's body; limits are checked before the content is.

    Args:
        body: a dict, or JSON as bytes or str.

    Raises:
        MalformedError: not JSON, or not a tracking request.
        TooLargeError: a limit of this module is exceeded.
    """
    message = body if isinstance(body, dict) else _load(body)
    if not isinstance(message, dict):
        raise MalformedError(f"The body is a JSON {type(message).__name__}; send an object with image, shapes, states.")
    _check_sizes(message)
    try:
        return Request.model_validate(message)
    except ValidationError as error:
        raise MalformedError(f"The request is not in CVAT's form: {explain(error)}.") from None


def explain(error: ValidationError) -> str:
    """The first problems as one line, with their places but without the values, which may be pictures."""
    places = [f"{'.'.join(map(str, e['loc'])) or 'message'}: {e['msg']}" for e in error.errors(include_input=False)[:3]]
    return "; ".join(places)


def reply(shapes: Sequence[object], states: Sequence[object]) -> str:
    """The JSON of an answer; numbers that JSON does not know are an error here, not at the client."""
    return json.dumps({"shapes": list(shapes), "states": list(states)}, allow_nan=False, separators=(",", ":"))


def _with_form(shape: object) -> object:
    """Note the form in which a shape came; the client has no say in it."""
    if isinstance(shape, list):
        return {"type": "rectangle", "points": shape, "bare": True}
    return {**shape, "bare": False} if isinstance(shape, dict) else shape


def _load(body: object) -> object:
    if not isinstance(body, (bytes, bytearray, str)):
        raise MalformedError("The body is empty; send the JSON of a tracking request.")
    try:
        return loads(body, MAX_VALUES)
    except JsonTooLargeError as error:
        raise TooLargeError(str(error)) from None
    except JsonError:
        raise MalformedError("The body is not JSON; send the JSON of a tracking request.") from None


def _check_sizes(message: dict[str, Any]) -> None:
    image = message.get("image")
    if isinstance(image, str) and len(image) > MAX_IMAGE_TEXT:
        raise TooLargeError(f"The image has {len(image)} characters of base64; at most {MAX_IMAGE_TEXT} are taken.")
    numbers = {"polygon": 0, "other": 0}
    for name in ("shapes", "states"):
        items = message.get(name)
        if not isinstance(items, list):
            continue
        if len(items) > MAX_OBJECTS:
            raise TooLargeError(f"{len(items)} {name} in one request; at most {MAX_OBJECTS} objects are tracked.")
        for item in items if name == "shapes" else ():
            points = item.get("points") if isinstance(item, dict) else item
            kind = "polygon" if isinstance(item, dict) and item.get("type") == "polygon" else "other"
            numbers[kind] += len(points) if isinstance(points, list) else 0
    for kind, limit in (("polygon", MAX_POLYGON_NUMBERS), ("other", MAX_SHAPE_NUMBERS)):
        if numbers[kind] > limit:
            raise TooLargeError(f"The shapes hold {numbers[kind]} numbers; at most {limit} are taken ({kind}).")
