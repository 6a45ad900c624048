"""A CVAT server that really runs, as far as the tests need it: tasks of one small clip, and what people do to a job.

The server is named by the environment: AGSS_TEST_CVAT (such as http://localhost:8080), AGSS_TEST_CVAT_USER and
AGSS_TEST_CVAT_PASSWORD. The tests make tasks of their own and delete them at the end.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.cvat.authorship import author
from agss_model.cvat.polygons.pairing import between
from agss_model.cvat.server.client import Server
from agss_model.masks import encode_cvat_mask
from agss_model.masks.cvat_shapes import mask_to_shape, shape_to_mask
from serverless.job.read import JobInfo, read_job

ADDRESS = os.environ.get("AGSS_TEST_CVAT", "")
LOGIN = os.environ.get("AGSS_TEST_CVAT_USER", "admin"), os.environ.get("AGSS_TEST_CVAT_PASSWORD", "")
WHY = "needs a CVAT server of your own: AGSS_TEST_CVAT, AGSS_TEST_CVAT_USER, AGSS_TEST_CVAT_PASSWORD"

FRAMES = 10  # of a job; each job shows the same clip
SIZE = (96, 128)
JOBS = 24  # of a task
COLOURS = {1: (220, 30, 30), 2: (30, 200, 60), 3: (40, 60, 230)}


def _text(name: str, value: str, mutable: bool) -> dict:
    return {"name": name, "mutable": mutable, "input_type": "text", "default_value": value, "values": [value]}


LABELS = [
    {"name": "person", "attributes": [_text("sex", "?", False), _text("pose", "up", True)]},
    {"name": "car", "attributes": []},
    {"name": "box", "type": "rectangle", "attributes": []},
    {"name": "outline", "type": "polygon", "attributes": []},
    {"name": "stencil", "type": "mask", "attributes": []},
]


def truth(number: int, frame: int) -> np.ndarray:
    """Object 1 goes right, 2 goes left, 3 goes out of the picture to the right; (H, W) bool."""
    x, y = {1: (17 + 4 * frame, 18), 2: (111 - 3 * frame, 48), 3: (75 + 9 * frame, 78)}[number]
    mask = np.zeros(SIZE, np.uint8)
    cv2.ellipse(mask, (x, y), (13, 11), 0, 0, 360, 1, -1)
    return mask.astype(bool)


def write_clip(path: Path, jobs: int) -> None:
    """The clip once for each job, as a video with a keyframe at each job's start."""
    background = np.random.default_rng(1).integers(60, 130, (12, 16, 3)).astype(np.uint8)
    background = cv2.resize(background, SIZE[::-1])
    pictures = []
    for frame in range(FRAMES):
        image = background.copy()
        for number in (1, 2, 3):
            image[truth(number, frame)] = COLOURS[number]
        pictures.append(image)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", Fraction(10), {"crf": "4", "g": str(FRAMES), "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        for image in pictures * jobs:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


@dataclass
class Live:
    """One job. Frames count from its first one; everything that the steps of a scenario do goes through here.

    Attributes:
        server: signed in.
        info: the job.
        folder: for the records of machines.
        on_frame: called with a frame when a machine tracks to it.
        exact: whether machines are right at once, see `Exact`, or track with what is there.
        button: see `live_button`.
    """

    server: Server
    info: JobInfo
    folder: Path
    on_frame: Callable[[int], None] | None = None
    exact: bool = True
    button: Any = None
    said: list[str] = field(default_factory=list)
    last: tuple[str | int, ...] = ()

    def at(self, frame: int) -> int:
        """A frame as CVAT counts."""
        return self.info.start + frame

    def label(self, name: str) -> int:
        return next(number for number, label in self.info.labels.items() if label.name == name)

    def spec(self, name: str) -> int:
        return next(number for number, spec in self.info.names.attributes.items() if spec == name)

    def items(self) -> dict:
        """Annotations as the server gives them."""
        return self.server.get(f"/api/jobs/{self.info.job}/annotations")

    def send(self, action: str, kind: str, *items: dict) -> list[dict]:
        body = {"version": 0, "tags": [], "shapes": [], "tracks": [], kind: list(items)}
        return self.server.patch(f"/api/jobs/{self.info.job}/annotations", body, action=action)[kind]

    def shape(self, kind: str, number: int, frame: int, shift: int = 0) -> dict:
        """What a person draws around an object, `shift` pixels beside it."""
        mask = np.roll(truth(number, frame), shift, axis=1)
        points = encode_cvat_mask(mask) if kind == "mask" else mask_to_shape(kind, mask)
        return {"type": kind, "frame": self.at(frame), "points": list(map(float, points)), "occluded": False}

    def draw(
        self, kind: str, number: int, frame: int, *, label: str = "person", shift: int = 0, **more: object
    ) -> dict:
        about = {"label_id": self.label(label), "source": "manual", "group": 0, **more}
        return self.send("create", "shapes", {**self.shape(kind, number, frame, shift), **about})[0]

    def draw_track(self, kind: str, number: int, *frames: int, label: str = "person", **more: object) -> dict:
        """A track with keyframes on these frames; a negative one says that it is outside from -frame on."""
        keys = [{**self.shape(kind, number, abs(f)), "outside": f < 0, "attributes": []} for f in frames]
        about = {"label_id": self.label(label), "source": "manual", "group": 0, "frame": keys[0]["frame"], **more}
        return self.send("create", "tracks", {**about, "shapes": keys, "attributes": []})[0]

    def machine(self, *arguments: str | int, on: str = "a", code: int = 0) -> str:
        """`agss cvat track` on one of several machines, each with a record of its own; numbers are frames."""
        where = ["--host", ADDRESS, "--job", str(self.info.job), "--user", LOGIN[0]]
        where += ["--model", "function"] if self.exact else []
        command = ["cvat", "track", *where, "--state", str(self.folder / on)]
        command += [str(self.at(one)) if isinstance(one, int) else one for one in arguments]
        result = CliRunner().invoke(app, command, env={"PASS": LOGIN[1]})
        assert result.exit_code == code, result.output + repr(result.exception)
        self.last = arguments
        self.said.append(" ".join(result.output.split()))
        return self.said[-1]

    def press(self, frame: int, target: int | None, **choices: object) -> str:
        """The button."""
        return self.button.press(frame, target, **choices)

    def find(self, number: int, frame: int) -> dict:
        """What CVAT shows of an object in a frame, as the shape or track that it is."""
        found = [one for one in shown(self.items(), self.info) if one.frame == frame and one.number == number]
        assert len(found) == 1, f"object {number} is shown {len(found)} times in frame {frame}"
        return found[0].item


class Exact:
    """What tracks in most tests, in place of the function behind the server: it knows where the objects are.

    How well something is tracked is not asked there, and each picture would take its time.
    """

    def __init__(self, live: Live) -> None:
        self._live = live

    def get(self, path: str) -> dict:
        return {"kind": "tracker", "supported_shape_types": ["mask"], "version": 1}

    def call(self, path: str, body: dict) -> dict:
        frame = body["frame"] - self._live.info.start
        if self._live.on_frame is not None:
            self._live.on_frame(frame)
        if "shapes" in body:
            return {"states": [self._number(shape, frame) for shape in body["shapes"]], "shapes": []}
        masks = [truth(state, frame) if state else np.zeros(SIZE, bool) for state in body["states"]]
        shapes = [{"type": "mask", "points": encode_cvat_mask(mask)} if mask.any() else None for mask in masks]
        return {"states": body["states"], "shapes": shapes}

    def _number(self, shape: dict, frame: int) -> int:
        mask = shape_to_mask(shape["type"], shape["points"], width=SIZE[1], height=SIZE[0])
        return best(mask, frame)


def best(mask: np.ndarray, frame: int) -> int:
    """The object that a mask covers by more than half, 0 for none."""
    overlaps = {number: iou(mask, truth(number, frame)) for number in (1, 2, 3)}
    number = max(overlaps, key=overlaps.__getitem__)
    return number if overlaps[number] > 0.5 else 0


@dataclass(frozen=True)
class Shown:
    """What CVAT shows of one object in one frame, counted from the job's first.

    `number` is the true object that it covers by more than half, 0 for none; `key` is CVAT's label and group.
    """

    frame: int
    number: int
    key: tuple[int, int]
    item: dict
    by: str


def shown(items: dict, info: JobInfo) -> list[Shown]:
    found = []
    for shape in items["shapes"]:
        found.append(_shown(int(shape["frame"]), shape, shape["points"], shape["type"], info))
    for track in items["tracks"]:
        for frame in range(info.start, info.stop + 1):
            points = interpolated(track, frame)
            if points is not None:
                found.append(_shown(frame, track, points, track["shapes"][0]["type"], info))
    return found


def _shown(frame: int, item: dict, points: list[float], kind: str, info: JobInfo) -> Shown:
    mask = shape_to_mask(kind, points, width=SIZE[1], height=SIZE[0], clip=True)
    group = item.get("group") or (-item["id"] if "shapes" in item else 0)
    key = item["label_id"], group
    return Shown(frame - info.start, best(mask, frame - info.start), key, item, author(item, info.names))


def interpolated(track: dict, frame: int) -> list[float] | None:
    """Points that CVAT shows of a track; where it moves vertices in a way of its own, those of the keyframe before."""
    before = [key for key in track["shapes"] if key["frame"] <= frame]
    if not before:
        return None
    key = max(before, key=lambda key: key["frame"])
    return None if key["outside"] else between(track, frame) or key["points"]


def iou(one: np.ndarray, two: np.ndarray) -> float:
    union = int((one | two).sum())
    return int((one & two).sum()) / union if union else 0.0


def make_task(client: object, folder: Path, name: str = "agss tests", **more: object) -> int:
    """A task of the clip with `JOBS` jobs; its number."""
    from cvat_sdk.core.proxies.tasks import ResourceType

    path = folder / "clip.mp4"
    if not path.exists():
        write_clip(path, JOBS)
    spec = {"name": name, "labels": copy.deepcopy(LABELS), "segment_size": FRAMES, "overlap": 0, **more}
    task = client.tasks.create_from_data(  # type: ignore[attr-defined]
        spec=spec,
        resources=[str(path)],
        resource_type=ResourceType.LOCAL,
        data_params={"image_quality": 90, "use_cache": True},
    )
    return int(task.id)


def jobs_of(server: Server, task: int) -> Iterator[JobInfo]:
    """Its jobs in the order of their frames."""
    for job in sorted(server.pages("/api/jobs", task_id=task), key=lambda job: job["start_frame"]):
        yield read_job(server, int(job["id"]))
