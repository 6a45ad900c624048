"""The figures of `agss bench`: time by object count, and where it goes (the paper's figures 1 and 7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agss_model.errors import OutputError

_ORDER = ("flow", "warp", "agnostic", "specific", "decoder", "labels", "other")


def draw_plot(rows: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw both figures side by side, and between them the first once more, relative to one object.

    Args:
        rows: as `agss bench --json` writes them.
        path: image file, of a kind matplotlib knows by its suffix.
        title: what was measured, and where.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    lines, ratios, bars = figure.subplots(1, 3)
    models = list(dict.fromkeys(row["model"] for row in rows))
    for model in models:
        own = sorted((row for row in rows if row["model"] == model), key=lambda row: row["objects"])
        counts, seconds = [row["objects"] for row in own], [row["seconds_per_frame"] for row in own]
        lines.plot(counts, seconds, "o-", label=model)
        ratios.plot(counts, [value / seconds[0] for value in seconds], "o-", label=model)
    for axes in (lines, ratios):
        axes.set_xticks(sorted({row["objects"] for row in rows}))
        axes.set(xlabel="objects")
        axes.legend()
    lines.set(ylabel="seconds per frame", ylim=(0, None))
    ratios.set(ylabel="time, relative to the fewest objects", yscale="log")
    rows = sorted(rows, key=lambda row: (models.index(row["model"]), row["objects"]))
    names = [f"{row['model']}\n{row['objects']}" for row in rows]
    base = [0.0] * len(rows)
    for part in _ORDER:
        heights = [max(0.0, row["modules"].get(part, 0.0)) for row in rows]
        bars.bar(range(len(rows)), heights, bottom=base, label=part)
        base = [low + height for low, height in zip(base, heights, strict=True)]
    bars.set_xticks(range(len(rows)), names, fontsize=7)
    bars.set(xlabel="model and objects", ylabel="seconds per frame")
    bars.legend(fontsize=8)
    figure.suptitle(title)
    part_file = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        figure.savefig(part_file, dpi=120)
        part_file.replace(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {error}; give a name such as bench.png") from error
    finally:
        part_file.unlink(missing_ok=True)
