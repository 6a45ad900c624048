"""Annotations and frames of tasks and jobs, straight from a CVAT server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from agss_model.cvat.authorship import Names
from agss_model.cvat.exports.meta import Task
from agss_model.cvat.records import VideoAnnotations
from agss_model.cvat.server.api import from_cvat_api
from agss_model.cvat.server.client import Server
from agss_model.errors import MediaError
from agss_model.video.images import decode_image
from agss_model.video.source import FrameSource, Image, IndexedFrames, check_same_size

_STEP = re.compile(r"\s*step\s*=\s*([0-9]{1,9})\s*")


@dataclass(frozen=True)
class RemoteVideo:
    """A task, or the part of one that a job is.

    Attributes:
        annotations: by frame of the task.
        frames: opens the frames, counted likewise.
        part: the frames that are meant.
        origin: where it is.
    """

    annotations: VideoAnnotations
    frames: Callable[[], FrameSource]
    part: range
    origin: str


def read_task(server: Server, number: int) -> RemoteVideo:
    """A whole task; answers that have another form than CVAT's raise KeyError, TypeError or ValueError.

    Raises:
        CvatError: the server refuses or has no such task.
        MediaError: annotations are damaged, or its images have several sizes.
    """
    about = server.get(f"/api/tasks/{number}")
    jobs = server.pages("/api/jobs", task_id=number)
    parts = [(int(j["start_frame"]), int(j["stop_frame"])) for j in jobs if j.get("type", "annotation") == "annotation"]
    meta = server.get(f"/api/tasks/{number}/data/meta")
    task = _about(number, str(about["name"]), int(about["size"]), meta, tuple(sorted(parts)))
    reply = server.get(f"/api/tasks/{number}/annotations")
    names = _names(server.pages("/api/labels", task_id=number))
    return _video(
        task,
        reply,
        names,
        meta,
        partial(server.task_frame, number),
        range(task.frame_count),
        f"{server.host}/tasks/{number}",
    )


def read_job(server: Server, number: int) -> RemoteVideo:
    """The part of a task that a job is, as `read_task` reads the whole."""
    job = server.get(f"/api/jobs/{number}")
    meta = server.get(f"/api/jobs/{number}/data/meta")
    segment = int(job["start_frame"]), int(job["stop_frame"])
    name = f"task {job['task_id']} job {number}"
    task = _about(int(job["task_id"]), name, segment[1] + 1, meta, (segment,))
    reply = server.get(f"/api/jobs/{number}/annotations")
    names = _names(server.pages("/api/labels", job_id=number))
    return _video(
        task,
        reply,
        names,
        meta,
        partial(server.frame, number),
        range(segment[0], segment[1] + 1),
        f"{server.host}/jobs/{number}",
    )


def _about(number: int, name: str, size: int, meta: Mapping[str, Any], segments: tuple[tuple[int, int], ...]) -> Task:
    sizes = {(int(frame["width"]), int(frame["height"])) for frame in meta["frames"]}
    if len(sizes) != 1:
        raise MediaError(f"{name} has frames of {len(sizes)} sizes and is no video; leave it out")
    width, height = sizes.pop()
    step = _STEP.fullmatch(str(meta.get("frame_filter") or ""))
    return Task(
        number=number,
        name=name,
        width=width,
        height=height,
        frame_count=size,
        start_frame=int(meta["start_frame"]),
        frame_step=int(step[1]) if step else 1,
        source=str(meta["frames"][0].get("name", "")),
        segments=segments,
    )


def _names(labels: list[Any]) -> Names:
    attributes = [attribute for label in labels for attribute in label.get("attributes") or ()]
    return Names(
        {int(label["id"]): str(label["name"]) for label in labels},
        {int(attribute["id"]): str(attribute["name"]) for attribute in attributes},
        frozenset(int(attribute["id"]) for attribute in attributes if attribute.get("mutable")),
    )


def _video(
    task: Task,
    reply: Mapping[str, Any],
    names: Names,
    meta: Mapping[str, Any],
    fetch: Callable[[int], bytes],
    part: range,
    origin: str,
) -> RemoteVideo:
    truth = from_cvat_api(reply, task, names, deleted=map(int, meta.get("deleted_frames") or ()))
    size = (task.width, task.height)
    frames = partial(ServerFrames, fetch, task.name, size, range(task.frame_count))
    return RemoteVideo(truth, frames, part, origin)


class ServerFrames(IndexedFrames):
    """Original frames, fetched one by one.

    Args:
        fetch: from a frame's number to the bytes of its image; errors are raised as they come.
        name: of the task or job.
        size: (width, height) that every frame must have.
        numbers: on the server, of the frame at each position.
    """

    def __init__(
        self, fetch: Callable[[int], bytes], name: str, size: tuple[int, int], numbers: Sequence[int]
    ) -> None:  # fmt: skip
        self._fetch, self.numbers = fetch, tuple(numbers)
        self.name, self.size, self.fps = name, size, 25.0

    def __len__(self) -> int:
        """Frames of the task or job that are meant."""
        return len(self.numbers)

    def read(self, index: int) -> Image:
        """See `FrameSource.read`."""
        return self.picture(self.numbers[self._check(index)])

    def picture(self, number: int) -> Image:
        """A frame by its number on the server, (H, W, 3) uint8 RGB.

        Raises:
            MediaError: it cannot be decoded, or has another size.
            CvatError: the server refuses.
        """
        what = f"frame {number} of {self.name}"
        image = decode_image(self._fetch(number), what)
        check_same_size((image.shape[1], image.shape[0]), self.size, what)
        return image
