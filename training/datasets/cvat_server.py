"""Tasks, jobs and projects straight from a CVAT server, through cvat-sdk."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from agss_model.annotations import Task, from_cvat_api
from agss_model.errors import ConfigError, MediaError
from agss_model.video.source import Image, IndexedFrames, check_same_size, check_side
from training.datasets.team import TeamVideo

TOKEN, USER, PASSWORD = "CVAT_ACCESS_TOKEN", "CVAT_USERNAME", "CVAT_PASSWORD"
_PLACE = re.compile(r"(?P<host>.+?)/(?P<kind>tasks|jobs|projects)/(?P<number>[0-9]{1,12})/?")


def read_server(place: str) -> list[TeamVideo]:
    """Videos of `HOST/tasks/ID`, `HOST/jobs/ID` or `HOST/projects/ID`.

    The host may begin with http:// or https:// (default). Access comes from the environment: CVAT_ACCESS_TOKEN, or
    CVAT_USERNAME and CVAT_PASSWORD.

    Raises:
        ConfigError: the place cannot be read, cvat-sdk is missing, or the environment names no access.
        MediaError: the server refuses, has no such thing, or its annotations are damaged.
    """
    found = _PLACE.fullmatch(place)
    if not found:
        raise ConfigError(f"cvat:{place} is no place on a server; write cvat:HOST/tasks/ID, /jobs/ID or /projects/ID")
    host, kind, number = found["host"], found["kind"], int(found["number"])
    client = connect(host if "://" in host else f"https://{host}")
    try:
        if kind == "tasks":
            return [_task(client, client.tasks.retrieve(number), host)]
        if kind == "jobs":
            job = client.jobs.retrieve(number)
            return [_task(client, client.tasks.retrieve(job.task_id), host, job)]
        return [_task(client, task, host) for task in client.projects.retrieve(number).get_tasks()]
    except _server_errors() as error:
        raise MediaError(f"cvat:{place}: the server says {_reason(error)}") from error


def connect(url: str) -> Any:  # noqa: ANN401 - cvat_sdk.Client, known only where it is installed
    """A client that is logged in.

    Raises:
        ConfigError: cvat-sdk is missing, or the environment names no access.
        MediaError: the server cannot be reached or refuses.
    """
    try:
        import cvat_sdk
        from cvat_sdk import AccessTokenCredentials
    except ImportError as error:
        raise ConfigError("Reading from a CVAT server needs cvat-sdk: pip install 'agss-vos[cvat]'") from error
    token, user, password = (os.environ.get(name, "") for name in (TOKEN, USER, PASSWORD))
    if not token and not (user and password):
        raise ConfigError(f"No access to {url}: set {TOKEN}, or {USER} and {PASSWORD}, in the environment.")
    credentials: Any = AccessTokenCredentials(token) if token else (user, password)
    try:
        return cvat_sdk.make_client(url, credentials=credentials)
    except _server_errors() as error:
        raise MediaError(f"{urlsplit(url).netloc} cannot be used: {_reason(error)}") from error


def _task(client: Any, task: Any, host: str, job: Any = None) -> TeamVideo:  # noqa: ANN401 - cvat_sdk's models
    meta = task.get_meta()
    frames = list(meta.frames)
    sizes = {(int(frame.width), int(frame.height)) for frame in frames}
    if len(sizes) != 1:
        raise MediaError(f"task {task.id} ({task.name}) has frames of {len(sizes)} sizes and is no video; leave it out")
    width, height = sizes.pop()
    jobs = [job] if job is not None else list(task.get_jobs())
    found = re.fullmatch(r"\s*step\s*=\s*([0-9]+)\s*", str(getattr(meta, "frame_filter", "") or ""))
    about = Task(
        number=int(task.id),
        name=str(task.name) if job is None else f"{task.name} job {job.id}",
        width=width,
        height=height,
        frame_count=int(task.size),
        start_frame=int(meta.start_frame),
        frame_step=int(found[1]) if found else 1,
        source=str(frames[0].name),
        segments=_segments(jobs),
    )
    owner = task if job is None else job
    names = {int(label.id): str(label.name) for label in task.get_labels()}
    truth = from_cvat_api(owner.get_annotations().to_dict(), about, names, deleted=map(int, meta.deleted_frames))
    return TeamVideo(
        name=about.name,
        origin=f"{host}/tasks/{task.id}" if job is None else f"{host}/jobs/{job.id}",
        truth=truth,
        open=partial(ServerFrames, task, about.name, (width, height)),
        labels={entry.id: entry.label for entry in truth.objects},
        deleted=truth.deleted,
    )


def _segments(jobs: Iterable[Any]) -> tuple[tuple[int, int], ...]:
    """First and last frame of every job that annotates, in order."""
    kinds = ("annotation", "")
    return tuple(
        sorted((int(j.start_frame), int(j.stop_frame)) for j in jobs if str(getattr(j, "type", "") or "") in kinds)
    )


class ServerFrames(IndexedFrames):
    """Original frames of a task, fetched one by one.

    Args:
        task: of cvat-sdk.
        name: of the video.
        size: (width, height).
    """

    def __init__(self, task: Any, name: str, size: tuple[int, int]) -> None:  # noqa: ANN401 - cvat_sdk's model
        self._task = task
        self.name, self.size, self.fps = name, size, 25.0

    def __len__(self) -> int:
        """Frames of the task."""
        return int(self._task.size)

    def read(self, index: int) -> Image:
        """See `FrameSource.read`."""
        what = f"frame {self._check(index)} of {self.name}"
        try:
            with self._task.get_frame(index, quality="original") as file:
                data = file.read()
            with Pillow.open(io.BytesIO(data)) as image:
                check_side(image.size, what)
                picture = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)
        except _server_errors() as error:
            raise MediaError(f"{what} cannot be fetched: {_reason(error)}") from error
        except (UnidentifiedImageError, OSError, Pillow.DecompressionBombError) as error:
            raise MediaError(f"{what} is no image: {error}") from error
        check_same_size((picture.shape[1], picture.shape[0]), self.size, what)
        return picture


def _server_errors() -> tuple[type[Exception], ...]:
    from cvat_sdk.core.exceptions import CvatSdkException
    from cvat_sdk.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    return (ApiException, CvatSdkException, HTTPError)


def _reason(error: Exception) -> str:
    """What happened, without headers: they may hold the token."""
    status = getattr(error, "status", None)
    return f"{status} {getattr(error, 'reason', '')}".strip() if status else f"{type(error).__name__}"
