"""A clip of coloured squares in a job of the stand-in, and what tests of the command ask of it."""

from __future__ import annotations

import copy

import numpy as np
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.cvat.authorship import Names
from agss_model.masks import decode_cvat_mask

FRAMES = 12
NAMES = Names({1: "person", 2: "car"})


class Clip:
    """Squares of one colour each, moving over a grey ground; they may leave or hide."""

    size = (64, 96)

    def __init__(self, count: int = FRAMES, hidden: dict[int, set[int]] | None = None) -> None:
        self.count, self.hidden = count, hidden or {}

    def mask(self, number: int, frame: int) -> np.ndarray:
        mask = np.zeros(self.size, bool)
        if frame not in self.hidden.get(number, ()):
            x, y = 3 + 4 * frame if number != 2 else 80 - 3 * frame, 4 + 20 * (number - 1)
            mask[y : y + 14, x : x + 12] = True
        return mask

    def images(self) -> list[np.ndarray]:
        pictures = []
        for frame in range(self.count):
            image = np.full((*self.size, 3), 90, np.uint8)
            for number in (1, 2, 3):
                image[self.mask(number, frame)] = (200, 40 * number, 10 * number)
            pictures.append(image)
        return pictures


def track(server, *arguments, code=0, number=1):
    line = ["cvat", "track", "--host", server.url, "--job", str(number), "--model", "function", *map(str, arguments)]
    result = CliRunner().invoke(app, line)
    assert code in (None, result.exit_code), result.output + repr(result.exception)
    return " ".join(result.output.split())


def masks_of(server, number=1):
    """Own masks by frame and group."""
    width, height = server.images[0].shape[1::-1]
    return {
        (s["frame"], s["group"]): decode_cvat_mask(s["points"], width=width, height=height)
        for s in server.jobs[number].shapes
        if s["source"] == "auto" and 0 < s["score"] < 1
    }


def contents(server, number=1):
    """Own shapes without the numbers of rows."""
    return sorted(
        (s["frame"], s["group"], s["label_id"], s["points"], round(s["score"], 9))
        for s in server.jobs[number].shapes
        if s["source"] == "auto" and 0 < s["score"] < 1
    )


def others(server, number=1):
    return copy.deepcopy([s for s in server.jobs[number].shapes if s["source"] != "auto"])


def interpolated(track, frame):
    """What CVAT shows of a polygon track."""
    keys = sorted(track["shapes"], key=lambda s: s["frame"])
    before = [k for k in keys if k["frame"] <= frame]
    if not before or before[-1]["outside"]:
        return None
    one = np.array(before[-1]["points"])
    after = [k for k in keys if k["frame"] > frame]
    if not after or before[-1]["frame"] == frame or after[0]["outside"]:
        return one
    two = np.array(after[0]["points"])
    assert len(one) == len(two)
    return one + (two - one) * (frame - before[-1]["frame"]) / (after[0]["frame"] - before[-1]["frame"])


LABELS = [
    {
        "name": "person",
        "type": "any",
        "attributes": [
            {"id": 11, "name": "sex", "mutable": False, "input_type": "text", "default_value": "?", "values": []},
            {"id": 12, "name": "pose", "mutable": True, "input_type": "text", "default_value": "up", "values": []},
        ],
    },
    "car",
    {"name": "box", "type": "rectangle", "attributes": []},
]
