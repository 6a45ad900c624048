"""Is this function alive and right? A few requests as CVAT sends them, to any URL.

Discs of known places move over a picture; each object must be found again near where it is, in the type it was given.
"""

from __future__ import annotations

import base64
import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import numpy as np
import numpy.typing as npt

from agss_model.bounded_json import loads
from agss_model.errors import ConfigError, MaskError
from agss_model.masks import mask_to_shape, shape_to_mask
from agss_model.masks.labels import BoolMask
from agss_model.system.deadline import LateError, within
from serverless.function.contract import MAX_STATES_TEXT, MAX_VALUES

TYPES = ("mask", "polygon", "rectangle", "mask", "polygon")
STEPS = 3
LEAST_OVERLAP = 0.6
PATIENCE = 120.0
"""Seconds from a request to the end of its answer: as long as CVAT waits."""
MOST_BYTES = 2 * MAX_STATES_TEXT
"""Of an answer: the function takes back no states of more than half of it."""

Frame = npt.NDArray[np.uint8]


@dataclass
class Smoke:
    """What came out.

    Attributes:
        passed: what held, in words.
        failed: what did not.
        seconds: of each tracking step.
        state_bytes: of each object's state after the last step.
    """

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    state_bytes: list[int] = field(default_factory=list)

    def check(self, what: str, holds: bool, detail: str = "") -> None:
        """Note one finding."""
        (self.passed if holds else self.failed).append(what if holds or not detail else f"{what}: {detail}")


def post(url: str, body: object, content_type: str = "application/json") -> tuple[int, Any]:
    """Send one request; status and JSON (or text where it is none).

    Args:
        url: http or https.
        body: JSON values, or bytes as they are.
        content_type: header.

    Raises:
        ConfigError: not a URL, nobody answers there, or what answers does not end.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{url} is not a URL; give one such as http://localhost:8070.")
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": content_type})  # noqa: S310 - checked above
    try:
        status, answer = within(PATIENCE, lambda: _exchange(request))
    except LateError as error:
        raise ConfigError(f"{url} answers with {error}; is it a tracking function?") from None
    except (OSError, HTTPException) as error:
        raise ConfigError(f"{url} does not answer ({error}). Is the function running, and the port right?") from error
    if len(answer) > MOST_BYTES:
        raise ConfigError(f"{url} answers with more than {MOST_BYTES >> 20} MiB; is it a tracking function?")
    return status, _json(answer)


def _exchange(request: urllib.request.Request) -> tuple[int, bytes]:
    """Status and bytes, one more than are taken at most."""
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:  # noqa: S310 - checked by `post`
            return int(reply.status), reply.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(MOST_BYTES + 1)


def smoke(url: str, tell: Callable[[str], None] = lambda _: None) -> Smoke:
    """Track five objects of all types over a few frames, and send what must be refused.

    Args:
        url: of the function.
        tell: told what is being done.

    Raises:
        ConfigError: nobody answers there.
    """
    found = Smoke()
    frames = discs()
    frame, masks = next(frames)
    shapes = [{"type": kind, "points": mask_to_shape(kind, mask)} for kind, mask in zip(TYPES, masks, strict=True)]
    tell("starting five objects")
    status, reply = post(url, {"image": encoded(frame), "shapes": shapes, "states": []})
    found.check("objects can be started", status == 200, f"status {status}, {reply}")
    if status != 200:
        return found
    states = reply["states"]
    for step in range(STEPS):
        tell(f"tracking step {step + 1} of {STEPS}")
        states = _step(url, frames, states, found)
        if not states:
            return found
    found.state_bytes = [len(json.dumps(state)) for state in states]
    tell("sending what must be refused")
    for what, body in (("broken JSON", b"{"), ("no image", {"shapes": [], "states": []})):
        status, _ = post(url, body)
        found.check(f"{what} is refused with 400", status == 400, f"status {status}")
    status, _ = post(url, {"image": "AAAA", "shapes": shapes, "states": []})
    found.check("a picture that is none is refused with 422", status == 422, f"status {status}")
    return found


def discs(width: int = 640, height: int = 360) -> Iterator[tuple[Frame, list[BoolMask]]]:
    """Endless frames, (H, W, 3) uint8 RGB, of one plain disc for each of `TYPES`, each with the discs' (H, W) masks."""
    y, x = np.mgrid[:height, :width]
    ground = np.stack([40 + 60 * x / width, 90 - 50 * y / height, 60 + 30 * np.sin(x / 40)], 2)
    colours = ((230, 60, 50), (240, 220, 70), (70, 200, 240), (250, 250, 250), (210, 90, 220))
    step = 0
    while True:
        frame, masks = ground.copy(), []
        for index, colour in enumerate(colours):
            centre_x = (index + 0.5) * width / len(colours) + 3 * step % 40
            centre_y = height / 2 + (height / 5) * (-1) ** index + 2 * step % 30
            masks.append((x - centre_x) ** 2 + (y - centre_y) ** 2 <= (height / 8) ** 2)
            frame[masks[-1]] = colour
        yield frame.astype(np.uint8), masks
        step += 1


def encoded(frame: Frame) -> str:
    """A frame as CVAT sends those of a video: PNG in base64."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _step(url: str, frames: Iterator[tuple[Frame, list[BoolMask]]], states: list[Any], found: Smoke) -> list[Any]:
    """Track into the next frame; the new states, none where there was no answer."""
    frame, masks = next(frames)
    body = {"image": encoded(frame), "shapes": [None] * len(states), "states": states}
    began = time.perf_counter()
    status, reply = post(url, body)
    found.seconds.append(time.perf_counter() - began)
    found.check("objects can be tracked", status == 200, f"status {status}, {reply}")
    if status != 200:
        return []
    for index, (shape, truth) in enumerate(zip(reply["shapes"], masks, strict=True)):
        overlap = _overlap(shape, TYPES[index], truth)
        found.check(f"{TYPES[index]} {index + 1} is found", overlap >= LEAST_OVERLAP, f"overlap {overlap:.2f}")
    return list(reply["states"])


def _overlap(shape: Any, kind: str, truth: BoolMask) -> float:  # noqa: ANN401 - whatever was answered
    """Intersection over union with the true mask, or with the box around it; 0 for another type or no shape."""
    if not isinstance(shape, dict) or shape.get("type") != kind:
        return 0.0
    height, width = truth.shape
    try:
        mask = shape_to_mask(kind, shape["points"], width=width, height=height)
    except MaskError:
        return 0.0
    if kind == "rectangle":
        truth = shape_to_mask(kind, mask_to_shape(kind, truth), width=width, height=height)
    return float((mask & truth).sum() / max(1, (mask | truth).sum()))


def _json(data: bytes) -> Any:  # noqa: ANN401 - whatever was answered
    try:
        return loads(data, MAX_VALUES)
    except ValueError:
        return data[:200].decode(errors="replace")
