"""`agss cvat export`: what is drawn in a CVAT job in the format of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agss_model.cli import options
from agss_model.cli.console import stdout
from agss_model.cli.export import LABEL, OUT, SHAPES, TO, Format, chosen_labels, written
from agss_model.cvat import Include
from agss_model.cvat.server.client import expected
from agss_model.cvat.server.remote import read_job
from agss_model.errors import ConfigError
from agss_model.formats.annotated import of_annotations
from agss_model.formats.registry import export as write
from serverless.job import access


def export(
    host: access.Host,
    job: access.JobNumber,
    to: Annotated[Format, TO],
    out: Annotated[Path, OUT],
    shapes: Annotated[Include, SHAPES] = "all",
    label: Annotated[list[str] | None, LABEL] = None,
    pictures: Annotated[bool, typer.Option("--pictures", help="Write the pictures as well.")] = False,
    token_file: access.TokenFile = None,
    user: access.User = None,
    org: access.Org = None,
    insecure: access.Insecure = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write the masks and polygons of a CVAT job for COCO, YOLO, DAVIS, YouTube-VOS, CVAT, LabelMe or a video editor.

    Objects are what shares a group, or a track. Only the job is read; nothing on the server changes.
    """
    server = access.sign_in(host, token_file, user, org, insecure=insecure)
    with expected(f"job {job}"):
        found = read_job(server, job)
    if pictures and to.value == "cvat-video" and found.part.start:
        raise ConfigError("CVAT's format needs the pictures before the job as well; leave out --pictures.")
    source = found.frames() if pictures or to.value == "alpha-video" else None
    clip = of_annotations(found.annotations, shapes, chosen_labels(label), source, found.part)
    write(clip, to.value, out)
    stdout().print(written(clip, out))
