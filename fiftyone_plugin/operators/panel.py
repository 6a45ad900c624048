"""The panel: scores of every object over the frames of a clip, a click away from the frame, and the operators."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.operators.store import ExecutionStore

from agss_model.errors import AgssError
from fiftyone_plugin import PLUGIN
from fiftyone_plugin.data.clips import Clip, find_clips
from fiftyone_plugin.data.collections import flat, unfiltered
from fiftyone_plugin.data.fields import field_of
from fiftyone_plugin.data.order import known_order
from fiftyone_plugin.operators.common import STORE
from fiftyone_plugin.operators.evaluate import LAST
from fiftyone_plugin.operators.review import THRESHOLD
from fiftyone_plugin.review.scores import read_timeline, traces, track_fields

BUTTONS = (
    ("track_objects", "Track", "play_arrow"),
    ("review_queue", "Review", "rule"),
    ("evaluate_tracking", "Evaluate", "straighten"),
    ("export_training", "Export", "download"),
)
ROW, AROUND = 26, 90  # pixels: of an object, and above and below them all


class TrackingScores(foo.Panel):
    """Shows one clip, a video or images in order: the open one, else the selected one, else the first of the view."""

    @property
    def config(self) -> foo.PanelConfig:
        """Name and surfaces."""
        return foo.PanelConfig(
            name="tracking_scores",
            label="Tracking scores",
            surfaces="grid modal",
            icon="/assets/scores-dark.svg",
            light_icon="/assets/scores-light.svg",
            dark_icon="/assets/scores-dark.svg",
            help_markdown=(
                "A row is an object, a column is a frame. Red is where to look, a diamond where a human drew, a gap "
                "where the object was not tracked. Click to go to the frame."
            ),
        )

    def on_load(self, ctx: foo.ExecutionContext) -> None:
        """Fill the panel."""
        fields = track_fields(ctx.dataset)
        state = ctx.panel.state
        if state.field not in fields:
            state.field = fields[0] if fields else None
        self._show(ctx)

    # FiftyOne calls these by their names when what they name has changed.
    on_change_current_sample = on_load
    on_change_dataset = on_load
    on_change_selected = on_load
    on_change_view = on_load

    def pick_field(self, ctx: foo.ExecutionContext) -> None:
        """Another field was chosen."""
        ctx.panel.state.field = ctx.params.get("value")
        self._show(ctx)

    def jump(self, ctx: foo.ExecutionContext) -> None:
        """Go to the frame that was clicked, opening the clip if it is not."""
        frame = ctx.params.get("x")
        if not isinstance(frame, int) or (shown := _shown(ctx)) is None:
            return
        if not shown.clip.is_video and not shown.played:
            ctx.ops.open_sample(id=shown.clip.samples[frame - 1])
            return
        if not ctx.current_sample:
            ctx.ops.open_sample(id=shown.id)
        if shown.clip.is_video:
            ctx.trigger(f"{PLUGIN}/go_to_frame", {"frame_number": frame})
        else:
            ctx.trigger("set_frame_number", {"frame_number": frame})

    def _show(self, ctx: foo.ExecutionContext) -> None:
        # Every assignment is a message to the App, which draws anew: each value is set once.
        state = ctx.panel.state
        problem, shown = "", None
        try:
            shown = _shown(ctx)
        except AgssError as error:
            problem = str(error)
        state.problem, state.sample = problem, shown.clip.key if shown else None
        if shown is None:
            state.objects = 0
            return
        dataset = unfiltered(flat(ctx.dataset))
        timeline = read_timeline(dataset, shown.clip, field_of(dataset, state.field))
        state.title = (
            f"**{shown.clip.name}**: {len(timeline.names)} objects, {timeline.frames} frames, "
            f"{timeline.doubtful(THRESHOLD)} with a score below {THRESHOLD}"
        )
        ctx.panel.data.timeline = traces(timeline)
        state.objects = len(timeline.names)

    def render(self, ctx: foo.ExecutionContext) -> types.Property:
        """Buttons, field, timeline, numbers."""
        panel = types.Object()
        state = ctx.panel.state
        buttons = panel.h_stack("operators", gap=1, align_x="left")
        for name, label, icon in BUTTONS:
            buttons.btn(name, label=label, icon=icon, on_click=f"{PLUGIN}/{name}", prompt=True, variant="outlined")
        fields = track_fields(ctx.dataset)
        if not fields:
            panel.md("Tracks appear here: draw objects on some frames, then press **Track**.", name="empty")
        else:
            choices = types.DropdownView()
            for name in fields:
                choices.add_choice(name, label=name)
            panel.enum(
                "field", choices.values(), label="Tracks", view=choices, default=state.field, on_change=self.pick_field
            )
        if state.objects:
            height = AROUND + ROW * state.objects
            panel.md(state.title, name="title")
            panel.plot(
                "timeline", layout=_layout(height), config={"displayModeBar": False}, on_click=self.jump, height=height
            )
        elif fields:
            panel.md(state.problem or "This field holds no object with an index in this clip.", name="bare")
        if numbers := _numbers(ctx, state.sample):
            panel.md(numbers, name="numbers")
        return types.Property(panel)


@dataclass(frozen=True)
class _Shown:
    """What the panel is about.

    Attributes:
        id: of what the App shows: a sample, or a part of a video in views of clips, such as the review queue.
        clip: all of it.
        played: images that the App plays as one video.
    """

    id: str
    clip: Clip
    played: bool = False


def _shown(ctx: foo.ExecutionContext) -> _Shown | None:
    """What is open, else selected, else first; None where that is nothing, or was deleted.

    Raises:
        AgssError: images that make no sequence.
    """
    view, field = ctx.view, ctx.panel.state.field
    shown = ctx.current_sample or next(iter(ctx.selected or ()), None) or (view.first().id if len(view) else None)
    if shown is None or field is None:
        return None
    if flat(ctx.dataset).media_type == "video":
        sample = shown
        if any(getattr(view, kind, False) for kind in ("_is_clips", "_is_frames", "_is_patches")):
            sample = next(iter(view.select(shown).values("sample_id")), None)
        paths = ctx.dataset.select(sample).values("filepath") if sample else []
        return _Shown(shown, Clip(Path(paths[0]).name, (sample,), (paths[0],), True)) if paths else None
    played = bool(getattr(view, "_is_dynamic_groups", False))
    clips = find_clips(view) if played else find_clips(ctx.dataset, *known_order(ctx.dataset, field))
    return next((_Shown(shown, clip, played) for clip in clips if shown in clip.samples), None)


def _layout(height: int) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 10, "b": 40},
        "xaxis": {"title": {"text": "frame"}, "automargin": True},
        "yaxis": {"autorange": "reversed", "automargin": True, "fixedrange": True, "type": "category"},
    }


def _numbers(ctx: foo.ExecutionContext, sample: str | None) -> str:
    """The last evaluation: of the dataset, and of the objects of this clip."""
    last = ExecutionStore.create(STORE, ctx.dataset._doc.id).get(LAST)
    if not last:
        return ""
    lines = [
        f"**Last evaluation**, {last['pred_field']} against {last['gt_field']}: identity kept {last['identity']:.0%}",
        "",
        "| | J&F | J | F |",
        "|---|---|---|---|",
        f"| dataset | {last['JF']:.3f} | {last['J']:.3f} | {last['F']:.3f} |",
    ]
    for clip in last["clips"]:
        if clip["sample"] == sample:
            lines += [
                f"| {name} | {score['JF']:.3f} | {score['J']:.3f} | {score['F']:.3f} |"
                for name, score in clip["objects"].items()
            ]
    return "\n".join(lines)
