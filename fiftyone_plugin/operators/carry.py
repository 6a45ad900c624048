"""The operator `apply_to_track`."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.core.collections import SampleCollection

from fiftyone_plugin.data.clips import find_clips
from fiftyone_plugin.data.collections import every_slice, readable, unfiltered
from fiftyone_plugin.data.fields import MASKS, input_field, label_fields
from fiftyone_plugin.operators.common import Base, Job, choose_tracks, chosen_order
from fiftyone_plugin.track.carrying import LabelCarrier


class ApplyToTrack(Base):
    """A changed class, index or attribute onto the frames that were tracked after it."""

    NAME = "apply_to_track"
    LABEL = "Apply to the track"
    ICON = "track"
    DESCRIPTION = "Carry a changed class, index or attribute of a tracked label on to the frames after it"
    WRITES = True
    PLACE = types.Places.SAMPLES_VIEWER_ACTIONS

    def form(self, ctx: foo.ExecutionContext, inputs: types.Object, view: SampleCollection) -> None:
        """Add the field to the form, and say what will be carried on."""
        view, chosen = _looked_at(ctx, view), _selected(ctx)
        known = label_fields(view, MASKS)
        field = next((one["field"].removeprefix("frames.") for one in ctx.selected_labels or []), None)
        choose_tracks(ctx, inputs, view, "label_field", "Tracks", field if field in known else None)
        what = "The selected labels" if chosen else "Every label that says something else than those before it"
        inputs.view(
            "what",
            types.Notice(
                label=f"{what}: class, index and attributes go to the labels of the same object on the tracked frames "
                "after it, up to the next that a person drew with others. Masks stay as they are."
            ),
        )

    def job(self, ctx: foo.ExecutionContext, view: SampleCollection) -> Job:
        """Check; then go clip by clip."""
        given, view = ctx.params, _looked_at(ctx, view)
        samples = readable(view)
        tracks = input_field(samples, given.get("label_field", ""), MASKS[:1])
        chosen = given.get("label_ids") or _selected(ctx)
        clips = find_clips(view, *chosen_order(view, given, tracks.name))
        here = _here(ctx) or {ctx.current_sample}
        found = [clip for clip in clips if here.intersection(clip.samples)]
        return LabelCarrier(unfiltered(samples), found or clips, tracks, chosen or None)

    def __call__(
        self,
        sample_collection: SampleCollection,
        label_field: str,
        label_ids: list[str] | None = None,
        *,
        delegate: bool = False,
    ) -> Any:  # noqa: ANN401 - a dict, or FiftyOne's record of a delegated operation
        """Carry changes on.

        Args:
            sample_collection: of the clips to look through.
            label_field: holds the tracks.
            label_ids: of the changed labels; by default all that say something else than those before them.
            delegate: queue it instead of running it now.

        Returns:
            A dict with the numbers of `changes` and `labels`, and a `summary`.

        Raises:
            AgssError: what was wrong.
        """
        return self.run(sample_collection, delegate, label_field=label_field, label_ids=label_ids)


def _here(ctx: foo.ExecutionContext) -> set[str]:
    """The samples of the selected labels."""
    return {one["sample_id"] for one in ctx.selected_labels or []}


def _looked_at(ctx: foo.ExecutionContext, view: SampleCollection) -> SampleCollection:
    """The view, or where labels in another slice of an open group are selected, these samples."""
    here = _here(ctx)
    if not here or ctx.dataset.media_type != "group" or len(readable(view).select(list(here))) == len(here):
        return view
    return every_slice(ctx.dataset, ctx.dataset[next(iter(here))].media_type).select(list(here))


def _selected(ctx: foo.ExecutionContext) -> list[str]:
    return [one["label_id"] for one in ctx.selected_labels or []]
