"""`agss export`: a finished run in the format of another tool."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from agss_model.cli import options
from agss_model.cli.console import stdout
from agss_model.errors import ConfigError
from agss_model.formats.registry import FORMATS
from agss_model.formats.registry import export as write
from agss_model.formats.tracked import read_run

Format = Enum("Format", {name: name for name in FORMATS})  # type: ignore[misc]


def export(
    run: Annotated[Path, typer.Argument(help="The folder that agss track wrote.", show_default=False)],
    to: Annotated[Format, typer.Option(help="The format.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A new folder.", show_default=False)],
    label: Annotated[
        list[str] | None,
        typer.Option(help="Class of an object, such as 3=person; may be repeated.", show_default=False),
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="The clip, to write its pictures as well.", show_default=False)
    ] = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Write the masks of a finished run for COCO, YOLO, DAVIS, YouTube-VOS, CVAT, LabelMe or a video editor.

    All formats keep every pixel but YOLO's, which has outlines without holes and no object ids.
    """
    tracked = read_run(run, _labels(label or []), source)
    write(tracked, to.value, out)
    stdout().print(f"{len(tracked.frames)} frames and {len(tracked.ids)} objects written to {out}")


def _labels(words: list[str]) -> dict[int, str]:
    labels = {}
    for word in words:
        number, _, name = word.partition("=")
        if not number.isdecimal() or not name.strip():
            raise ConfigError(f"--label is {word!r}; write the object's id and its class, such as 3=person")
        labels[int(number)] = name.strip()
    return labels
