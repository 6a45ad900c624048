"""Tasks, jobs and projects straight from a CVAT server."""

from __future__ import annotations

import os
import re
from typing import Any

from agss_model.cvat.server.client import PASSWORD_VARIABLE, TOKEN_VARIABLE, connect
from agss_model.cvat.server.remote import RemoteVideo, read_job, read_task
from agss_model.errors import ConfigError, MediaError
from training.annotations.videos import TeamVideo

USER_VARIABLE = "CVAT_USERNAME"
_PLACE = re.compile(r"(?P<host>.+?)/(?P<kind>tasks|jobs|projects)/(?P<number>[0-9]{1,12})/?")


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
            return [_video(read_task(server, number))]
        if kind == "jobs":
            return [_video(read_job(server, number))]
        tasks = server.pages("/api/tasks", project_id=number)
        return [_video(read_task(server, int(task["id"]))) for task in tasks]
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


def _video(found: RemoteVideo) -> TeamVideo:
    truth = found.annotations
    return TeamVideo(
        name=truth.name,
        origin=found.origin,
        truth=truth,
        open=found.frames,
        labels={entry.id: entry.label for entry in truth.objects},
        deleted=truth.deleted,
    )
