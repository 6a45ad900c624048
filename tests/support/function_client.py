"""A client of the function that knows only CVAT's and Nuclio's documents: Nuclio's own ends, JSON in between."""

from __future__ import annotations

import base64
import copy
import functools
import io
import json
import logging
import uuid

import msgpack
import nuclio_sdk
import numpy as np
from nuclio_sdk import Event, Response
from nuclio_sdk.event import EventDeserializerKinds
from nuclio_sdk.json_encoder import Encoder
from PIL import Image

from agss_model.weights.registry import load_model
from serverless import main
from serverless.function.cache import FeatureCache
from serverless.function.scenes import Scenes


@functools.cache
def quick_network():
    """`lite` as shipped, at the size of the small test frames."""
    return load_model("lite", small_object_enlargement=1.0, small_frame=16, max_enlargement=1.0)


class Lines(logging.Handler):
    """Everything the function logs."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.levelname} {record.getMessage()} {getattr(record, 'with', {})}")


class Function:
    """One worker: its context, called through what Nuclio's wrapper does with an event and a response."""

    def __init__(self, scenes=None):
        logger = nuclio_sdk.Logger(logging.INFO, name=f"test-{uuid.uuid4().hex}")
        self.log = Lines()
        logger._logger.addHandler(self.log)
        logger._logger.propagate = False
        self.context = nuclio_sdk.Context(logger, worker_id="0")
        self.scenes = self.context.user_data.scenes = scenes or Scenes(quick_network(), FeatureCache(1 << 26))

    def send(self, body, content_type="application/json", method="POST"):
        """Status and parsed JSON for the bytes of a body."""
        fields = {
            "body": body, "content_type": content_type, "trigger": {"kind": "http", "name": "http"}, "fields": {},
            "headers": {"Content-Type": content_type}, "id": uuid.uuid4().hex, "method": method, "path": "/",
            "size": len(body), "timestamp": 0, "url": "", "shard_id": -1, "num_shards": 0, "type": "",
            "type_version": "", "version": "", "offset": 0, "topic": "",
        }  # fmt: skip
        unpacked = msgpack.unpackb(msgpack.packb(fields), raw=False)
        event = Event.deserialize(unpacked, kind=EventDeserializerKinds.msgpack)
        out = Response.from_entrypoint_output(Encoder().encode, main.handler(self.context, event))
        assert out["content_type"] == "application/json"
        assert out["body_encoding"] == "text"
        return out["status_code"], json.loads(out["body"], parse_constant=_no_constant)

    def post(self, message):
        return self.send(json.dumps(message).encode())

    def start(self, frame, shapes):
        status, reply = self.post({"image": picture(frame), "shapes": shapes, "states": []})
        assert status == 200, reply
        assert len(reply["shapes"]) == len(reply["states"]) == len(shapes)
        return reply["states"]

    def follow(self, frame, states):
        """Shapes and states for the next frame."""
        status, reply = self.post({"image": picture(frame), "shapes": [None] * len(states), "states": states})
        assert status == 200, reply
        assert len(reply["shapes"]) == len(reply["states"]) == len(states)
        return reply["shapes"], reply["states"]

    def track(self, frames, states):
        """Shapes of every frame, and the last states."""
        shapes = []
        for frame in frames:
            found, states = self.follow(frame, states)
            shapes.append(found)
        return shapes, states


def _no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def picture(frame, kind="PNG", **options):
    """A frame in base64."""
    file = io.BytesIO()
    Image.fromarray(frame).save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def changed(state, **values):
    """A copy of a state with some fields replaced."""
    return {**copy.deepcopy(state), **values}


def mask_points(mask):
    """CVAT's points of a mask, written from its document: runs from background on, row by row in the box."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
    runs, value = [0], False
    for pixel in mask[top : bottom + 1, left : right + 1].ravel():
        if pixel == value:
            runs[-1] += 1
        else:
            runs.append(1)
            value = pixel
    return [float(number) for number in (*runs, left, top, right, bottom)]


def mask_of(points, height, width):
    """The other way round."""
    *runs, left, top, right, bottom = (int(number) for number in points)
    mask = np.zeros((height, width), bool)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    mask[top : bottom + 1, left : right + 1] = values.reshape(bottom - top + 1, right - left + 1)
    return mask


def overlap(one, two):
    return (one & two).sum() / max(1, (one | two).sum())


class Clip:
    """Squares of one colour each that move to the right over a smooth ground; they are in rows and never touch."""

    def __init__(self, objects=3, size=(96, 160), seed=0, speed=2):
        rng = np.random.default_rng(seed)
        self.height, self.width = size
        self.speed = speed
        y, x = np.mgrid[: self.height, : self.width]
        shade = 60 + 40 * np.sin(x / 9 + seed) * np.cos(y / 11)
        self.ground = np.stack([shade, shade * 0.8 + 20, shade * 0.6 + 30], 2).astype(np.uint8)
        columns = -(-objects // 4)
        self.side = min(self.height // min(objects, 4) - 8, self.width // (2 * columns))
        self.places = [
            (4 + (k % 4) * (self.height // min(objects, 4)), 6 + (k // 4) * (self.width // columns))
            for k in range(objects)
        ]
        self.colours = rng.integers(120, 255, (objects, 3), dtype=np.uint8)
        self.colours[:, 0] = np.linspace(255, 130, objects)

    def masks(self, t):
        out = []
        for y, x in self.places:
            mask = np.zeros((self.height, self.width), bool)
            left = x + self.speed * t
            mask[y : y + self.side, left : left + self.side] = True
            out.append(mask)
        return out

    def frame(self, t, hidden=()):
        image = self.ground.copy()
        for k, mask in enumerate(self.masks(t)):
            if k not in hidden:
                image[mask] = self.colours[k]
        return image

    def frames(self, start, stop):
        return [self.frame(t) for t in range(start, stop)]

    def shapes(self, t):
        """The masks of a frame as CVAT writes them."""
        return [{"type": "mask", "points": mask_points(mask)} for mask in self.masks(t)]


def box_around(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [float(v) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]


def box_overlap(one, two):
    """Intersection over union of two boxes."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, two))
    return shared / (areas - shared)
