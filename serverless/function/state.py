"""One object's state: everything needed to go on with it, as data that travels through the annotator's browser.

A state names frames and, for each, the object's mask in it: first the frame on which a person drew the object, last the
frame before, between them a few confident ones. Their pictures lie with the object or with its neighbours (see
`serverless.function.scenes.shared_out`): of the first and the last it carries a faint copy where it does not carry the
true one, and any other that arrives with none of them is done without. So every subset of objects can go on, anywhere,
and what comes out depends on the request alone.

Nothing in a state belongs to a particular network: other weights read it, too.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from agss_model.masks.cvat_shapes import ShapeType
from serverless.function.contract import (
    MAX_SIDE,
    MAX_STATES_TEXT,
    Message,
    TooLargeError,
    UnusableError,
    explain,
)
from serverless.function.pictures import MAX_WORKING_SIDE, Picture, decode_base64

VERSION = 1
MAX_FRAMES = 12
MAX_MASK_PIXELS = 128 << 20
"""Limit on all masks in the states of one request, unpacked."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Text = Annotated[str, Field(min_length=4, max_length=MAX_STATES_TEXT)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
SmallSide = Annotated[int, Field(ge=1, le=MAX_WORKING_SIDE)]
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


@dataclass(frozen=True, eq=False)
class SeenFrame:
    """One frame as the object knows it.

    Attributes:
        digest: of the frame's picture.
        mask: (h, w) uint8, the object in 255ths of each carried pixel.
        kept: remembered beyond the next frame.
        faint: digest of a copy in few bytes, for where the picture itself does not come; None where there is none.
    """

    digest: str
    mask: npt.NDArray[np.uint8]
    kept: bool
    faint: str | None = None

    def among(self, pictures: Collection[str]) -> SeenFrame | None:
        """The frame at the best of these pictures; None where none is of this frame."""
        if self.digest in pictures:
            return self
        return replace(self, digest=self.faint, faint=None) if self.faint in pictures and self.faint else None


@dataclass(frozen=True, eq=False)
class ObjectState:
    """One object between two frames.

    Attributes:
        kind: type of the shapes it is answered in.
        bare: answered as a bare list of numbers.
        size: (height, width) of the frames.
        working: (height, width) at which the network sees them.
        lost: not found in the last frame.
        since: frames since one was last kept.
        box: the rectangle last answered, for objects that must always have one.
        frames: oldest first; the first is the frame with the drawn shape, the last the frame before.
        pictures: by digest, those it carries.
    """

    kind: ShapeType
    bare: bool
    size: tuple[int, int]
    working: tuple[int, int]
    lost: bool
    since: int
    box: tuple[float, ...] | None
    frames: tuple[SeenFrame, ...]
    pictures: Mapping[str, Picture]

    @property
    def drawn(self) -> SeenFrame:
        """The frame in which a person drew the object."""
        return self.frames[0]

    @property
    def recent(self) -> tuple[SeenFrame, ...]:
        """Confident frames that the tracker made, oldest first; with an empty mask where the object was lost."""
        return tuple(frame for frame in self.frames[1:] if frame.kept)

    @cached_property
    def identity(self) -> str:
        """Equal for equal objects, whatever pictures they carry; gives an order in which the request has no say."""
        about = (self.kind, self.bare, self.size, self.working, self.lost, self.since, self.box)
        digest = hashlib.sha256(repr(about).encode())
        for frame in self.frames:
            digest.update(f"{frame.digest} {frame.kept} {frame.mask.shape}".encode())
            digest.update(frame.mask.tobytes())
        return digest.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The state as JSON values; `from_json` gives the same state back."""
        return {
            "agss": VERSION,
            "type": self.kind,
            "bare": self.bare,
            "size": list(self.size),
            "working": list(self.working),
            "carried": list(self.frames[0].mask.shape),
            "lost": self.lost,
            "since": self.since,
            "box": list(self.box) if self.box else None,
            "frames": [
                {"picture": k.digest, "mask": _pack(k.mask), "kept": k.kept, "faint": k.faint} for k in self.frames
            ],
            "pictures": [base64.b64encode(p.data).decode("ascii") for p in self.pictures.values()],
        }


class _SeenFrameMessage(Message):
    picture: Digest
    mask: Text
    kept: bool
    faint: Digest | None = None


class _StateMessage(Message):
    agss: Literal[1]
    type: ShapeType
    bare: bool
    size: list[Side] = Field(min_length=2, max_length=2)
    working: list[SmallSide] = Field(min_length=2, max_length=2)
    carried: list[SmallSide] = Field(min_length=2, max_length=2)
    lost: bool
    since: int = Field(ge=0, le=1_000_000)
    box: Annotated[list[Coordinate], Field(min_length=4, max_length=4)] | None
    frames: list[_SeenFrameMessage] = Field(min_length=1, max_length=MAX_FRAMES)
    pictures: list[Text] = Field(min_length=1, max_length=MAX_FRAMES)


@dataclass
class StateBudget:
    """What is left for the states of one request."""

    pixels: int = field(default_factory=lambda: MAX_MASK_PIXELS)
    text: int = field(default_factory=lambda: MAX_STATES_TEXT)

    def take(self, pixels: int, text: int) -> None:
        """Take some of it.

        Raises:
            TooLargeError: so much is not left.
        """
        if pixels > self.pixels:
            raise TooLargeError(f"The masks of the states have more pixels than the {MAX_MASK_PIXELS} that are taken.")
        if text > self.text:
            raise TooLargeError(f"The states have more characters than the {MAX_STATES_TEXT} that are taken.")
        self.pixels, self.text = self.pixels - pixels, self.text - text


def from_json(value: Mapping[str, Any], budget: StateBudget | None = None) -> ObjectState:
    """Read a state; nothing in it is trusted.

    Args:
        value: what `to_json` gave, or anything else.
        budget: taken from before anything is unpacked.

    Raises:
        UnusableError: not a state of this function and version, or damaged.
        TooLargeError: it holds more than any state of ours.
    """
    try:
        message = _StateMessage.model_validate(value)
    except ValidationError as error:
        raise UnusableError(
            f"This is not a tracking state of this function, or of another version ({explain(error)}); "
            "start the object again from its shape."
        ) from None
    text = sum(map(len, message.pictures)) + sum(len(frame.mask) for frame in message.frames)
    (budget or StateBudget()).take(message.carried[0] * message.carried[1] * len(message.frames), text)
    pictures = {p.digest: p for p in (Picture.of(decode_base64(t, "A picture in a state")) for t in message.pictures)}
    carried = (message.carried[0], message.carried[1])
    frames = tuple(SeenFrame(k.picture, _unpack(k.mask, carried), k.kept, k.faint) for k in message.frames)
    _check_pictures(frames, pictures)
    if message.type == "rectangle" and message.box is None:
        raise UnusableError("The state of a rectangle holds no rectangle; start the object again from its shape.")
    return ObjectState(
        kind=message.type,
        bare=message.bare,
        size=(message.size[0], message.size[1]),
        working=(message.working[0], message.working[1]),
        lost=message.lost,
        since=message.since,
        box=tuple(message.box) if message.box else None,
        frames=frames,
        pictures=pictures,
    )


def _check_pictures(frames: tuple[SeenFrame, ...], pictures: Mapping[str, Picture]) -> None:
    """A state of ours begins with a drawn frame and carries its first and its last in some form, and no strangers."""
    if not frames[0].kept:
        raise UnusableError("The state does not begin with a drawn frame; start the object again from its shape.")
    for frame in (frames[0], frames[-1]):
        if frame.among(pictures) is None:
            raise UnusableError(f"The state lacks the picture {frame.digest}; start the object again from its shape.")
    if not pictures.keys() <= {name for frame in frames for name in (frame.digest, frame.faint)}:
        raise UnusableError("The state carries a picture of no frame it names; start the object again from its shape.")


def _pack(mask: npt.NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(mask.tobytes(), 9)).decode("ascii")


def _unpack(text: str, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The mask, unpacked no further than its size."""
    expected = shape[0] * shape[1]
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(decode_base64(text, "A mask in a state"), expected + 1)
    except zlib.error:
        data = b""
    if len(data) != expected or not unpacker.eof:
        raise UnusableError(f"A mask in a state does not hold {shape[0]}x{shape[1]} pixels; start the object again.")
    return np.frombuffer(data, np.uint8).reshape(shape)
