"""The operator `step_to_doubt`: from one place to look at to the next, by a key in the player."""

from __future__ import annotations

import fiftyone.operators as foo
from fiftyone.operators.store import ExecutionStore

from agss_model.errors import AgssError
from fiftyone_plugin.data.collections import every_slice
from fiftyone_plugin.data.fields import field_of
from fiftyone_plugin.operators.common import STORE
from fiftyone_plugin.operators.review import THRESHOLD
from fiftyone_plugin.operators.shown import in_groups, shown_in
from fiftyone_plugin.review.queue import QueueEntry, doubts, entries
from fiftyone_plugin.review.scores import track_fields

FIELD, PLACE = "panel field", "place"
"""Keys in the dataset's execution store: the field that the panel shows, and the place that was stepped to last."""


class StepToDoubt(foo.Operator):
    """Goes through the doubtful places of the open clip, worst first, and says what is wrong."""

    @property
    def config(self) -> foo.OperatorConfig:
        """How FiftyOne shows and runs it."""
        return foo.OperatorConfig(
            name="step_to_doubt", label="Next place to look at", unlisted=True, icon="navigate_next", risk_level="low"
        )

    def execute(self, ctx: foo.ExecutionContext) -> None:
        """Take a step: `step` is 1 or -1, `sample` what is looked at, where that may be another than the open one."""
        store = ExecutionStore.create(STORE, ctx.dataset._doc.id)
        fields = track_fields(ctx.dataset)
        field = store.get(FIELD) if store.get(FIELD) in fields else next(iter(fields), None)
        try:
            shown = shown_in(ctx, field, ctx.params.get("sample") if in_groups(ctx) else None)
        except AgssError as error:
            ctx.ops.notify(str(error), variant="error")
            return
        if shown is None or field is None:
            return
        dataset = every_slice(ctx.dataset, shown.clip.media_type)
        found = entries(doubts(dataset, shown.clip, field_of(dataset, field), THRESHOLD), joined=True)
        if shown.support:
            found = [entry for entry in found if shown.support[0] <= entry.worst + 1 <= shown.support[1]]
        if not found:
            ctx.ops.notify(f"Nothing to look at here: no score below {THRESHOLD}, nothing lost.")
            return
        place = next_place(found, store.get(PLACE), shown.clip.key, int(ctx.params.get("step", 1)))
        store.set(PLACE, [shown.clip.key, found[place].worst])
        entry = found[place]
        shown.go(ctx, entry.worst + 1)
        ctx.ops.notify(f"Place {_rank(found, place)} of {len(found)}, frame {entry.worst + 1}: {entry.reason}")


def next_place(found: list[QueueEntry], last: object, clip: str, step: int) -> int:
    """Which entry comes next, worst first, round and round.

    Args:
        found: the entries of a clip.
        last: clip and frame that were stepped to before, None for the first time.
        clip: the sample by which it is known.
        step: 1 or -1.
    """
    order = sorted(range(len(found)), key=lambda place: (found[place].score, place))
    known = [place for place in order if last == [clip, found[place].worst]]
    if not known:
        return order[0 if step > 0 else -1]
    return order[(order.index(known[0]) + step) % len(order)]


def _rank(found: list[QueueEntry], place: int) -> int:
    return sorted(range(len(found)), key=lambda other: (found[other].score, other)).index(place) + 1
