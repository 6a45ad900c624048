"""What the commands of `training.cli` do."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from agss_model.cli.console import note, say, stderr, stdout
from agss_model.cvat import Include
from agss_model.engines.loading import pick_device, set_threads
from agss_model.errors import ConfigError, MediaError, OutputError, install
from agss_model.files import opened, write_bytes, write_json
from agss_model.words import plural
from training.annotations.catalog import open_catalog
from training.annotations.inspection import VideoReport, contact_sheet, inspect

MOST_PROBLEMS = 12


def inspect_sources(sources: Sequence[str], include: Include, sheet: Path | None) -> None:
    """See `training.cli.inspect`."""
    catalog = open_catalog(sources)
    found = [inspect(video, include) for video in catalog.videos]
    stdout().print(_table(found))
    for video in found:
        _print_video(video)
    for entry in catalog.notes:
        note(entry.text)
    annotated = sum(len(video.annotated) for video in found)
    problems = sum(len(video.problems) for video in found)
    counts = ((len(found), "video"), (annotated, "annotated frame"), (problems, "problem"))
    stdout().print(", ".join(plural(count, what) for count, what in counts), markup=False)
    if sheet is not None:
        _write_picture(sheet, contact_sheet(catalog, include))
        stdout().print(f"look at {sheet}", markup=False)


def _table(found: Sequence[VideoReport]) -> Table:
    shown = ("video", "size", "frames", "annotated", "interpolated", "predicted", "objects", "masks")
    table = Table(*shown, "area: least / middle / most")
    for video in found:
        area = "" if video.areas is None else " / ".join(f"{100 * share:.2g}" for share in video.areas) + " %"
        table.add_row(
            video.name,
            f"{video.size[0]}x{video.size[1]}",
            str(video.frames),
            str(len(video.annotated)),
            str(video.interpolated),
            str(video.predicted),
            str(len(video.objects)),
            str(video.masks),
            area,
        )
    return table


def _print_video(video: VideoReport) -> None:
    labels = ", ".join(f"{object_id} {label}".strip() for object_id, label in list(video.objects.items())[:20])
    stdout().print(f"{video.name}: {video.origin}", markup=False)
    stdout().print(f"  objects: {labels or 'none'}", markup=False)
    for problem in video.problems[:MOST_PROBLEMS]:
        stdout().print(f"  {problem.kind}: {problem.text}", markup=False)
    if len(video.problems) > MOST_PROBLEMS:
        stdout().print(f"  and {len(video.problems) - MOST_PROBLEMS} more problems", markup=False)


def _write_picture(path: Path, picture: object) -> None:
    import cv2
    import numpy as np

    pixels = np.asarray(picture, np.uint8)[..., ::-1]
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise OutputError(f"{path} is no picture; choose a name that ends in .png or .jpg")
    done, encoded = cv2.imencode(path.suffix, pixels)
    if not done:
        raise OutputError(f"{path} could not be drawn: the sheet would be {pixels.shape[1]}x{pixels.shape[0]} pixels")
    write_bytes(path, encoded.tobytes())


def finetune_sources(
    sources: Sequence[str],
    out: Path,
    include: Include,
    hold_out: tuple[str, ...],
    threads: int | None,
    **wished: Any,  # noqa: ANN401 - as `training.team.finetune.FinetuneOptions` declares them
) -> None:
    """See `training.cli.finetune`."""
    _need_extra()
    from training.annotations.prepare import prepare
    from training.team.finetune import FinetuneOptions, as_text, plan
    from training.team.folds import learn

    set_threads(threads)
    wishes = FinetuneOptions(**wished)
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; choose a folder for --out")
    if wishes.stills is not None and not wishes.stills.is_dir():
        raise MediaError(f"{wishes.stills} is no folder of photographs with masks; docs/training.md says what it holds")
    asked: dict[str, Any] = {
        "sources": [_absolute(source) for source in sources],
        "include": include,
        "hold_out": sorted(hold_out),
    }
    asked |= {"seed": wishes.seed, "weights": wishes.weights}
    with opened(out):
        prepared = prepare(
            lambda: open_catalog(sources),
            out / "data",
            asked,
            include=include,
            hold_out=hold_out,
            seed=wishes.seed,
            say=_say,
        )
        made = plan(prepared, out, wishes)
    for line in as_text(made, prepared):
        _say(line)
    outcome = learn(made, prepared, out, _say)
    if outcome is None:
        return
    stdout().print(outcome.sentence(), markup=False)
    if outcome.learned:
        stdout().print(f"best weights: {out / 'best.safetensors'}", markup=False)
        stdout().print(f"publish them, if the gate agrees, with: agss publish {out} --name NAME", markup=False)


def _absolute(source: str) -> str:
    path, mark, media = source.partition("::")
    return f"{Path(path).resolve()}{mark}{media}" if Path(path).exists() else source


def judge(
    models: Sequence[str],
    data: Sequence[Path],
    general: Sequence[str] | None,
    *,
    json: Path | None,
    html: Path | None,
    iou: float,
    device: str,
    threads: int | None,
) -> bool:
    """See `training.cli.gate`; True where the new weights are accepted."""
    from training.team.gate import compare, open_sets
    from training.team.gate_report import write_report

    if len(models) < 2:
        raise ConfigError("give two weights: agss gate OLD NEW --data ROOT")
    set_threads(threads)
    old, new, *more = models
    for target in (json, html):
        if target is not None and not target.absolute().parent.is_dir():
            raise OutputError(f"{target.parent} is no folder; make it, or choose another place for {target.name}")
    sets = open_sets([*data, *map(Path, more)], _general(general))
    verdict = compare(old, new, sets, wanted=iou, device=pick_device(device), say=_say)
    if json is not None:
        write_json(json, verdict.record)
    if html is not None:
        write_report(html, verdict)
    _print_verdict(verdict.decision, verdict.reasons)
    return verdict.accepted


def publish_run(
    run: Path, name: str | None, general: Sequence[str] | None, *, device: str, threads: int | None
) -> bool:
    """See `training.cli.publish`; False where the gate refuses, or nothing was learned."""
    _need_extra()
    from training.team.publish import RefusedError, publish

    set_threads(threads)
    chosen = name or re.sub(r"[^a-z0-9_-]+", "-", run.resolve().name.lower()).strip("-_") or "team"
    try:
        bundle = publish(run, chosen, general=_general(general), device=pick_device(device), say=_say)
    except RefusedError as error:
        stderr().print(str(error), markup=False)
        return False
    stdout().print(f"published {bundle.name}, version {bundle.version}: {bundle.folder}", markup=False)
    stdout().print(f"SHA-256 {bundle.files[bundle.weights.name]}", markup=False)
    stdout().print(f"use it with --weights {bundle.name}; undo with: agss weights rollback {bundle.name}", markup=False)
    return True


def _general(general: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name for name in (general or ("demo",)) if name != "none")


def _print_verdict(decision: str, reasons: Sequence[str]) -> None:
    stdout().print(decision)
    for reason in reasons:
        stdout().print(f"- {reason}", markup=False)


def _say(text: str) -> None:
    say(text)


def _need_extra() -> None:
    """Say what to install before anything is begun."""
    if importlib.util.find_spec("accelerate") is None:
        raise ConfigError(f"Training needs accelerate: {install('train')}")
