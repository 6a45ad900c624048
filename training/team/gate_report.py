"""The gate's page: one HTML file that needs nothing else, with tables, plots and the frames that went wrong most."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from agss_model.errors import ConfigError, install
from agss_model.files import write_bytes
from agss_model.masks.labels import LabelMap
from agss_model.masks.overlay import Image, draw_overlay
from agss_model.video.images import encode_picture
from agss_model.words import printable
from training.team.gate import DataSetComparison, Verdict, mean_jf, total
from training.team.kinds import Corrections, Gains
from training.team.measure import Result

WORST = 6
PICTURE_SIDE = 420
LARGEST_PLOT = 30_000  # dots; Matplotlib ends at 65,535
LONGEST_NAME = 40  # in plots

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse } td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left }
.yes { color: #14691f } .no { color: #a11212 } .note { color: #666 }
.row { display: flex; gap: .5rem; margin: .4rem 0 1.2rem } .row figure { margin: 0 } .row img { width: 100% }
.text td, .text th { text-align: left }
figcaption { font-size: .85rem; color: #555 } img.plot { max-width: 100% }
"""


def write_report(path: Path, verdict: Verdict) -> None:
    """Write the page, whole or not at all.

    Raises:
        ConfigError: Matplotlib is missing.
        OutputError: the place cannot be written.
        MediaError: a frame cannot be read again.
    """
    text = page(verdict)
    write_bytes(path, text.encode(errors="replace"))  # names of files can hold bytes that are no text


def page(verdict: Verdict) -> str:
    """The page as text; see `write_report`."""
    record = verdict.record
    decision = f'<span class="{"yes" if verdict.accepted else "no"}">{verdict.decision}</span>'
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons)
    where = f"{record['machine']['cpu']}, torch {record['versions'].get('torch', '?')}"
    parts = [
        f"<h1>{escape(record['new']['name'])} instead of {escape(record['old']['name'])}: {decision}</h1>",
        f"<ul>{reasons}</ul>",
        f'<p class="note">A correction is a true mask given where an object falls below IoU {record["wanted_iou"]}. '
        f"Old SHA-256 {record['old']['sha256'][:16]}, new {record['new']['sha256'][:16]}. "
        f"Measured on {escape(where)}.</p>",
        *(_section(found, record["wanted_iou"]) for found in verdict.sets),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Gate</title><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _section(found: DataSetComparison, wanted: float) -> str:
    kind = "general set" if found.data.general else "videos of the team"
    return (
        f"<h2>{escape(Path(found.data.name).name)} ({kind})</h2>{_judged_by(found)}{_table(found)}"
        f"{'' if found.learned is None else _kinds(found.learned, wanted) + _corrections(found.learned)}"
        f'<p><img class="plot" alt="J&amp;F and corrections by video" src="{_plot(found)}"></p>'
        f'<p><img class="plot" alt="IoU over time" src="{_curves(found, wanted)}"></p>'
        f"<h3>Worst frames</h3>{_worst(found)}"
    )


def _judged_by(found: DataSetComparison) -> str:
    if not found.data.judged_by:
        return ""
    return (
        '<p class="note">The new weights learned from all of these videos. Each video is judged here by weights of the '
        "same training, at the same step, that left it out.</p>"
    )


def _table(found: DataSetComparison) -> str:
    rows = [
        (a.name, a.judged, a.JF, b.JF, a.corrections, b.corrections) for a, b in zip(found.old, found.new, strict=True)
    ]
    judged = sum(row[1] for row in rows)
    rows.append(("all", judged, mean_jf(found.old), mean_jf(found.new), total(found.old), total(found.new)))
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{count}</td><td>{one:.3f}</td><td>{two:.3f}</td>"
        f'<td class="{_class(two - one)}">{100 * (two - one):+.1f}</td>'
        f'<td>{before}</td><td>{after}</td><td class="{_class(before - after)}">{after - before:+d}</td></tr>'
        for name, count, one, two, before, after in rows
    )
    return _headed(cells, "video", "judged masks", "J&amp;F old", "new", "points", "corrections old", "new", "change")


def _headed(cells: str, *names: str) -> str:
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>{cells}</table>"


def _kinds(found: Gains, wanted: float) -> str:
    """Which kinds of masks got better, without corrections."""
    cells = "".join(
        f"<tr><td>{escape(kind.name)}</td><td>{kind.masks}</td><td>{kind.old:.3f}</td><td>{kind.new:.3f}</td>"
        f'<td class="{_class(kind.new - kind.old)}">{100 * (kind.new - kind.old):+.1f}</td>'
        f"<td>{kind.old_below}</td><td>{kind.new_below}</td></tr>"
        for kind in found.kinds
    )
    names = ("kind", "judged masks", "mean IoU old", "new", "points", f"below {wanted} old", "new")
    return f"<h3>Kinds of masks</h3>{_headed(cells, *names)}"


def _corrections(found: Gains) -> str:
    """Which corrections are saved, and which are asked for instead."""
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{_places(saved)}</td><td>{_places(found.added[name])}</td></tr>"
        for name, saved in found.saved.items()
        if saved or found.added[name]
    )
    if not cells:
        return "<p>Both weights ask for the same corrections.</p>"
    names = ("video", "asked for with the old weights only", "with the new weights only")
    return f'<h3>Corrections saved</h3><div class="text">{_headed(cells, *names)}</div>'


def _places(given: Corrections) -> str:
    objects: dict[int, list[int]] = {}
    for frame, object_id in given:
        objects.setdefault(frame, []).append(object_id)
    return "; ".join(f"frame {frame}: object {', '.join(map(str, ids))}" for frame, ids in objects.items()) or "none"


def _class(gain: float) -> str:
    return "yes" if gain > 1e-9 else "no" if gain < -1e-9 else ""


def _figure(width: float, height: float, columns: int) -> tuple[Any, Any]:
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ConfigError(f"The gate's page needs Matplotlib: {install('train')}") from error
    make: Any = matplotlib.figure.Figure
    figure = make(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _plain(name: str) -> str:
    """A name as text in a plot: dollars are no mathematics, and what no font can show is a mark."""
    return _shortened(printable(name)).replace("$", r"\$")


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _plot(found: DataSetComparison) -> str:
    names = [_plain(result.name) for result in found.old]
    places = np.arange(len(names))
    figure, axes = _figure(10, 1.2 + 0.32 * len(names), 2)
    for axis, title, value in (
        (axes[0], "J&F", "JF"),
        (axes[1], "corrections", "corrections"),
    ):
        axis.barh(places - 0.2, [getattr(result, value) for result in found.old], 0.38, label="old", color="#9aa7b5")
        axis.barh(places + 0.2, [getattr(result, value) for result in found.new], 0.38, label="new", color="#1f6fb2")
        axis.set_yticks(places, names)
        axis.invert_yaxis()
        axis.set_title(title)
    axes[1].set_yticklabels([])
    axes[1].legend(frameon=False)
    return _inline(figure)


def _curves(found: DataSetComparison, wanted: float, most: int = 6) -> str:
    """Lowest IoU of every judged frame, for the videos that changed most."""
    pairs = sorted(zip(found.old, found.new, strict=True), key=lambda pair: -abs(pair[0].JF - pair[1].JF))[:most]
    figure, axes = _figure(10, 2.6, len(pairs))
    for axis, (old, new) in zip(axes, pairs, strict=True):
        for result, colour in ((old, "#9aa7b5"), (new, "#1f6fb2")):
            frames = sorted(result.frames)
            axis.plot(frames, [result.frames[frame] for frame in frames], marker=".", markersize=3, color=colour)
        axis.axhline(wanted, color="#a11212", linewidth=0.7)
        axis.set_ylim(-0.02, 1.02)
        axis.set_title(_plain(old.name), fontsize=9)
        axis.set_xlabel("frame", fontsize=8)
    axes[0].set_ylabel("lowest IoU")
    return _inline(figure)


def _inline(figure: Any) -> str:  # noqa: ANN401 - matplotlib.figure.Figure
    buffer = io.BytesIO()
    dots = min(110.0, LARGEST_PLOT / max(figure.get_size_inches()))
    figure.savefig(buffer, format="png", dpi=dots)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _worst(found: DataSetComparison) -> str:
    """Frames in which the new weights are worst: truth, old and new side by side."""
    ranked = sorted(
        (iou, place, frame) for place, result in enumerate(found.new) for frame, iou in result.frames.items()
    )
    chosen: list[tuple[float, int, int]] = []
    for entry in ranked:
        near = [c for c in chosen if c[1] == entry[1] and abs(c[2] - entry[2]) < 10]
        if not near and len([c for c in chosen if c[1] == entry[1]]) < 3:
            chosen.append(entry)
        if len(chosen) == WORST:
            break
    return "".join(_pictures(found, place, frame) for _, place, frame in chosen)


def _pictures(found: DataSetComparison, place: int, frame: int) -> str:
    case = found.data.cases[place]
    truth, _, _ = case.truth(frame)
    with case.open() as source:
        picture = source.read(frame)
    old, new = found.old[place], found.new[place]
    shown = (
        ("truth", truth),
        (f"old, IoU {old.frames[frame]:.2f}", _predicted(old, frame, truth)),
        (f"new, IoU {new.frames[frame]:.2f}", _predicted(new, frame, truth)),
    )
    figures = "".join(
        f'<figure><img alt="{escape(title)}" src="{_overlay(picture, labels)}">'
        f"<figcaption>{escape(title)}</figcaption></figure>"
        for title, labels in shown
    )
    return f'<div>{escape(case.name)}, frame {case.number(frame)}</div><div class="row">{figures}</div>'


def _predicted(result: Result, frame: int, truth: LabelMap) -> LabelMap:
    return result.prediction(frame, truth)


def _overlay(picture: Image, labels: LabelMap) -> str:
    drawn = draw_overlay(picture, labels)
    scale = min(1.0, PICTURE_SIDE / max(drawn.shape[:2]))
    small = cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    data = encode_picture(np.asarray(small, np.uint8), quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
