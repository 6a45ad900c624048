"""The panel: scores of every object over the frames of a clip, a click away from the frame, and the operators."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.operators.store import ExecutionStore

from agss_model.errors import AgssError
from agss_model.words import plural
from fiftyone_plugin import PLUGIN
from fiftyone_plugin.data.clips import Clip
from fiftyone_plugin.data.collections import every_slice
from fiftyone_plugin.data.fields import field_of
from fiftyone_plugin.operators.common import STORE
from fiftyone_plugin.operators.evaluate import LAST
from fiftyone_plugin.operators.review import THRESHOLD
from fiftyone_plugin.operators.shown import ShownClip, in_groups, shown_in
from fiftyone_plugin.operators.step import FIELD
from fiftyone_plugin.review.queue import QueueEntry, doubts, entries
from fiftyone_plugin.review.scores import read_timeline, traces, track_fields

BUTTONS = (
    ("track_objects", "Track", "play_arrow"),
    ("review_queue", "Review", "rule"),
    ("evaluate_tracking", "Evaluate", "straighten"),
    ("export_training", "Export", "download"),
)
BARE = "No object with an index in this clip yet: draw objects on some frames, then press **Track**."
LISTED = 5  # places to look at
ROW, AROUND = 26, 90  # pixels: of an object, and above and below them all
FEWEST = 3  # rows that the bar of colours needs


class TrackingScores(foo.Panel):
    """Shows one clip, a video or images in order: the open one, else the selected one, else the first of the view."""

    @property
    def config(self) -> foo.PanelConfig:
        """Name the panel and the surfaces it shows on."""
        return foo.PanelConfig(
            name="tracking_scores",
            label="Tracking scores",
            surfaces="grid modal",
            icon="timeline",  # a file of the plugin shows in neither tab nor menu
            help_markdown=(
                "A row is an object, a column is a frame. Red is where to look, a diamond where a human drew, a gap "
                "where the object was not tracked. Click to go to the frame."
            ),
        )

    def on_load(self, ctx: foo.ExecutionContext) -> None:
        """Fill the panel; a page that is loaded again has its state, but none of its data."""
        ctx.panel.state.version = None
        self.refresh(ctx)

    def refresh(self, ctx: foo.ExecutionContext) -> None:
        """Fill the panel where what it shows is not so any more."""
        fields = track_fields(ctx.dataset)
        state = ctx.panel.state
        if state.field not in fields:
            state.field = fields[0] if fields else None
        self._show(ctx)

    # FiftyOne calls these by their names when what they name has changed.
    on_change_current_sample = refresh
    on_change_dataset = refresh
    on_change_selected = refresh
    on_change_view = refresh

    def pick_field(self, ctx: foo.ExecutionContext) -> None:
        """Show the field that was chosen."""
        ctx.panel.state.field = ctx.params.get("value")
        ExecutionStore.create(STORE, ctx.dataset._doc.id).set(FIELD, ctx.panel.state.field)
        self._show(ctx)

    def jump(self, ctx: foo.ExecutionContext) -> None:
        """Go to the frame that was clicked, opening the clip if it is not."""
        frame = ctx.params.get("x")
        state = ctx.panel.state
        if isinstance(frame, int) and (shown := shown_in(ctx, state.field, state.looked)) is not None:
            shown.go(ctx, frame)

    def look(self, ctx: foo.ExecutionContext) -> None:
        """Follow to the sample of an open group that is looked at; none once it is closed."""
        if (sample := ctx.params.get("sample")) != ctx.panel.state.looked:
            ctx.panel.state.looked = sample
            self._show(ctx)

    def forward(self, ctx: foo.ExecutionContext) -> None:
        """Go to the next place to look at."""
        ctx.trigger(f"{PLUGIN}/step_to_doubt", {"step": 1, "sample": ctx.panel.state.looked})

    def back(self, ctx: foo.ExecutionContext) -> None:
        """Go to the place before."""
        ctx.trigger(f"{PLUGIN}/step_to_doubt", {"step": -1, "sample": ctx.panel.state.looked})

    def _show(self, ctx: foo.ExecutionContext) -> None:
        # Every assignment is a message to the App, which draws anew: each value is set once, and FiftyOne says several
        # times in a row that the view has changed.
        state = ctx.panel.state
        problem, shown = "", None
        try:
            shown = shown_in(ctx, state.field, state.looked)
        except AgssError as error:
            problem = str(error)
        version = [ctx.dataset.name, state.field, problem, shown and _version(ctx, shown)]
        if state.version == version:
            return
        state.version = version
        state.problem, state.sample = problem, shown.clip.key if shown else None
        if shown is None:
            state.objects = 0
            return
        self._fill(ctx, shown.clip)

    def _fill(self, ctx: foo.ExecutionContext, clip: Clip) -> None:
        state = ctx.panel.state
        dataset = every_slice(ctx.dataset, clip.media_type)
        field = field_of(dataset, state.field)
        timeline = read_timeline(dataset, clip, field)
        state.title = (
            f"**{clip.name}**: {plural(len(timeline.names), 'object')}, {plural(timeline.frames, 'frame')}, "
            f"{timeline.doubtful(THRESHOLD)} with a score below {THRESHOLD}"
        )
        state.first = _first(entries(doubts(dataset, clip, field, THRESHOLD), joined=True))
        ctx.panel.data.timeline = traces(timeline)
        state.objects = len(timeline.names)

    def render(self, ctx: foo.ExecutionContext) -> types.Property:
        """Lay out buttons, field, timeline and numbers."""
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
            height = AROUND + ROW * max(state.objects, FEWEST)
            panel.md(state.title, name="title")
            panel.plot(
                "timeline", layout=_layout(height), config={"displayModeBar": False}, on_click=self.jump, height=height
            )
            if state.first:
                panel.md(state.first, name="first")
                steps = panel.h_stack("steps", gap=1, align_x="left")
                steps.btn("back", label="Previous", icon="navigate_before", on_click=self.back, variant="outlined")
                steps.btn("forward", label="Next", icon="navigate_next", on_click=self.forward, variant="outlined")
        elif fields:
            panel.md(state.problem or BARE, name="bare")
        if numbers := _numbers(ctx, state.sample):
            panel.md(numbers, name="numbers")
        if in_groups(ctx):
            panel.view("looked", types.View(component="AgssLooked", composite_view=True, on_look=self.look))
        return types.Property(panel)


def _version(ctx: foo.ExecutionContext, shown: ShownClip) -> list[object]:
    """Changes with everything that is read of a clip."""
    samples = every_slice(ctx.dataset, shown.clip.media_type).select(list(shown.clip.samples))
    path = "frames.last_modified_at" if shown.clip.is_video else "last_modified_at"
    return [shown.clip.key, len(shown.clip.samples), str(samples.bounds(path)[1])]


def _first(found: list[QueueEntry]) -> str:
    """The worst places of a clip, in words."""
    worst = sorted(found, key=lambda entry: entry.score)[:LISTED]
    lines = [f"- frame {e.worst + 1} ({e.score:.2f}): {e.reason}" for e in worst]
    more = f" of {len(found)} places" if len(found) > LISTED else ""
    return "\n".join([f"**Look first at**{more} (keys **[** and **]** in an open video)", "", *lines]) if lines else ""


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
        f"| {plural(len(last['clips']), 'clip')} | {last['JF']:.3f} | {last['J']:.3f} | {last['F']:.3f} |",
    ]
    here = [clip for clip in last["clips"] if clip["sample"] == sample]
    for clip in here:
        part = f" ({clip['clip']})" if len(here) > 1 else ""
        lines += [
            f"| {name}{part} | {score['JF']:.3f} | {score['J']:.3f} | {score['F']:.3f} |"
            for name, score in clip["objects"].items()
        ]
    return "\n".join(lines)
