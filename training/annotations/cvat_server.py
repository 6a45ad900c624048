"""Tasks, jobs and projects straight from a CVAT server."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agss_model.cvat import Names, Task, from_cvat_api
from agss_model.cvat.server import PASSWORD_VARIABLE, TOKEN_VARIABLE, CvatError, Server, connect
from agss_model.errors import ConfigError, MediaError
from agss_model.video.images import decode_image
from agss_model.video.source import FrameSource, Image, IndexedFrames, check_same_size
from training.annotations.videos import TeamVideo

USER_VARIABLE = "CVAT_USERNAME"
_PLACE = re.compile(r"(?P<host>.+?)/(?P<kind>tasks|jobs|projects)/(?P<number>[0-9]{1,12})/?")
_STEP = re.compile(r"\s*step\s*=\s*([0-9]{1,9})\s*")


def read_server(place: str) -> list[TeamVideo]:
    """Videos of `HOST/tasks/ID`, `HOST/jobs/ID` or `HOST/projects/ID`.

    Access comes from the environment: CVAT_ACCESS_TOKEN, or CVAT_USERNAME and PASS, as cvat-cli calls it.

    Raises:
        ConfigError: the place cannot be read, cvat-sdk is missing, or the environment names no access.
        CvatError: the server refuses or has no such thing.
        MediaError: annotations are damaged, or of images of several sizes.
    """
    found = _PLACE.fullmatch(place)
    if not found:
        raise ConfigError(f"cvat:{place} is no place on a server; write cvat:HOST/tasks/ID, /jobs/ID or /projects/ID")
    host, kind, number = found["host"], found["kind"], int(found["number"])
    server = connect(host, **_access(host))
    try:
        if kind == "tasks":
            return [_task(server, number)]
        if kind == "jobs":
            return [_job(server, number)]
        tasks = server.pages("/api/tasks", project_id=number)
        return [_task(server, int(task["id"])) for task in tasks]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise MediaError(f"cvat:{place}: the server's answer has no {error}; is this CVAT 2.40 or newer?") from error


def _access(host: str) -> dict[str, Any]:
    token, user, password = (os.environ.get(name, "") for name in (TOKEN_VARIABLE, USER_VARIABLE, PASSWORD_VARIABLE))
    if token:
        return {"token": token}
    if user and password:
        return {"login": (user, password)}
    raise ConfigError(
        f"No access to {host}: set {TOKEN_VARIABLE}, or {USER_VARIABLE} and {PASSWORD_VARIABLE}, in the environment."
    )


def _task(server: Server, number: int) -> TeamVideo:
    about = server.get(f"/api/tasks/{number}")
    jobs = server.pages("/api/jobs", task_id=number)
    parts = [(int(j["start_frame"]), int(j["stop_frame"])) for j in jobs if j.get("type", "annotation") == "annotation"]
    meta = server.get(f"/api/tasks/{number}/data/meta")
    task = _about(number, str(about["name"]), int(about["size"]), meta, tuple(sorted(parts)))
    reply = server.get(f"/api/tasks/{number}/annotations")
    names = _names(server.pages("/api/labels", task_id=number))
    frames = partial(ServerFrames, partial(server.task_frame, number), task)
    return _video(task, reply, names, meta, frames, f"{server.host}/tasks/{number}")


def _job(server: Server, number: int) -> TeamVideo:
    job = server.get(f"/api/jobs/{number}")
    meta = server.get(f"/api/jobs/{number}/data/meta")
    segment = int(job["start_frame"]), int(job["stop_frame"])
    name = f"task {job['task_id']} job {number}"
    task = _about(int(job["task_id"]), name, segment[1] + 1, meta, (segment,))
    reply = server.get(f"/api/jobs/{number}/annotations")
    names = _names(server.pages("/api/labels", job_id=number))
    frames = partial(ServerFrames, partial(server.frame, number), task)
    return _video(task, reply, names, meta, frames, f"{server.host}/jobs/{number}")


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
    )


def _video(
    task: Task,
    reply: Mapping[str, Any],
    names: Names,
    meta: Mapping[str, Any],
    frames: Callable[[], FrameSource],
    origin: str,
) -> TeamVideo:
    truth = from_cvat_api(reply, task, names, deleted=map(int, meta.get("deleted_frames") or ()))
    return TeamVideo(
        name=task.name,
        origin=origin,
        truth=truth,
        open=frames,
        labels={entry.id: entry.label for entry in truth.objects},
        deleted=truth.deleted,
    )


class ServerFrames(IndexedFrames):
    """Original frames, fetched one by one.

    Args:
        fetch: from a frame's number to the bytes of its image.
        task: name, size and number of frames.
    """

    def __init__(self, fetch: Any, task: Task) -> None:  # noqa: ANN401 - a partial of a method
        self._fetch, self._count = fetch, task.frame_count
        self.name, self.size, self.fps = task.name, (task.width, task.height), 25.0

    def __len__(self) -> int:
        """Frames of the task."""
        return self._count

    def read(self, index: int) -> Image:
        """See `FrameSource.read`."""
        what = f"frame {self._check(index)} of {self.name}"
        try:
            picture = decode_image(self._fetch(index), what)
        except CvatError as error:
            raise MediaError(f"{what} cannot be fetched: {error}") from error
        check_same_size((picture.shape[1], picture.shape[0]), self.size, what)
        return picture
