"""The figures of `agss bench`: time by object count, and where it goes (the paper's figures 1 and 7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agss_model.errors import OutputError
from agss_model.files import replacing
from agss_model.words import printable

_ORDER = ("flow", "warp", "agnostic", "specific", "decoder", "labels", "other")
Rows = list[dict[str, Any]]
_WIDE = 10.0
"""Times further apart than this are drawn on a logarithmic scale."""


def draw_plot(rows: Rows, path: Path, title: str) -> None:
    """Draw both figures side by side: time, and time relative to one object; then each model by its parts.

    Args:
        rows: as `agss bench --json` writes them.
        path: image file, of a kind matplotlib knows by its suffix.
        title: what was measured, and where.

    Raises:
        OutputError: the file cannot be written.
    """
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False}):  # names are text, whatever dollars are in them
        figure = _figure(rows, title)
    try:
        with replacing(path, flush=False) as part:
            figure.savefig(part, format=path.suffix[1:] or None, dpi=90)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {error}; give a name such as bench.png") from error


def _figure(rows: Rows, title: str) -> Any:  # noqa: ANN401 - matplotlib has no types
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = {printable(row["model"]): _sorted_rows(rows, row["model"]) for row in rows}
    figure = Figure(figsize=(4.2 * (2 + len(models)), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    lines, ratios, *parts = figure.subplots(1, 2 + len(models))
    for model, own in models.items():
        counts, seconds = [row["objects"] for row in own], [row["seconds_per_frame"] for row in own]
        lines.plot(counts, seconds, "o-", label=model)
        ratios.plot(counts, [value / seconds[0] for value in seconds], "o-", label=model)
    lines.set(ylabel="seconds per frame")
    ratios.set(ylabel="time, relative to the fewest objects")
    ticks = sorted({row["objects"] for row in rows})
    for axes in (lines, ratios):
        axes.set(xlabel="objects", xscale="log")
        axes.set_xticks(ticks, [str(count) for count in ticks])
        low, high = axes.dataLim.intervaly
        if high > _WIDE * low:  # models that are far apart
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, None)
        axes.minorticks_off()
        axes.legend()
    for axes, (model, own) in zip(parts, models.items(), strict=True):
        _draw_parts(axes, model, own)
    parts[-1].legend(fontsize=8)
    figure.suptitle("\n".join(map(printable, title.split("\n"))))
    return figure


def _sorted_rows(rows: Rows, model: str) -> Rows:
    """Those of one model, by the number of objects."""
    return sorted((row for row in rows if row["model"] == model), key=lambda row: row["objects"])


def _draw_parts(axes: Any, model: str, rows: Rows) -> None:  # noqa: ANN401 - matplotlib has no types
    """Bars of one model, each as high as a frame takes, by part."""
    base = [0.0] * len(rows)
    for part in _ORDER:
        heights = [max(0.0, row["modules"].get(part, 0.0)) for row in rows]
        axes.bar(range(len(rows)), heights, bottom=base, label=part)
        base = [low + height for low, height in zip(base, heights, strict=True)]
    axes.set_xticks(range(len(rows)), [str(row["objects"]) for row in rows])
    axes.set(title=model, xlabel="objects", ylabel="seconds per frame")
