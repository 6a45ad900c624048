"""The operator `review_queue`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.core.collections import SampleCollection
from fiftyone.operators.message import GeneratedMessage

from agss_model.errors import AgssError, ConfigError
from agss_model.review import LOW
from agss_model.words import plural
from fiftyone_plugin.data.clips import Clip, find_clips
from fiftyone_plugin.data.collections import readable, unfiltered
from fiftyone_plugin.data.fields import MASKS, input_field
from fiftyone_plugin.data.progress import Progress
from fiftyone_plugin.operators.common import Base, Job, ask_order, choose_tracks, chosen_order
from fiftyone_plugin.review.queue import (
    QueueEntry,
    check_review_field,
    doubts,
    entries,
    queue_view,
    review_field,
    write_queue,
)

THRESHOLD, LIMIT = LOW, 200


class ReviewQueue(Base):
    """A saved view of the frames to look at, worst first."""

    NAME = "review_queue"
    LABEL = "Review tracked objects"
    ICON = "review"
    DESCRIPTION = "A saved view of the frames to look at, worst first, with the reason"

    def form(self, ctx: foo.ExecutionContext, inputs: types.Object, view: SampleCollection) -> None:
        """Add field, threshold and the view's name to the form."""
        choose_tracks(ctx, inputs, view, "field", "Tracked field")
        inputs.float(
            "threshold", label="Scores below", default=THRESHOLD, min=0, max=1,
            description="Lost objects, jumps and disagreeing directions are listed whatever their score",
        )  # fmt: skip
        inputs.int("limit", label="Most entries", default=LIMIT, min=1)
        inputs.str("view_name", label="Save as", description='By default "review" and the field\'s name')
        ask_order(inputs, view)

    def job(self, ctx: foo.ExecutionContext, view: SampleCollection) -> Job:
        """Check; then read clip by clip and save the view at the end."""
        return _ReviewJob(view, ctx.params)

    def done(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[GeneratedMessage]:
        """Show the queue."""
        yield ctx.ops.reload_dataset()
        if result["entries"] and ctx.current_sample:  # which is no sample of the view
            yield ctx.ops.close_sample()
        if result["entries"]:  # by its stages, as the App does not know the name of a view that is new
            yield ctx.ops.set_view(view=ctx.dataset.load_saved_view(result["view"]))

    def __call__(
        self,
        sample_collection: SampleCollection,
        field: str,
        *,
        threshold: float = THRESHOLD,
        limit: int = LIMIT,
        view_name: str | None = None,
        sort_field: str | None = None,
        group_field: str | None = None,
        delegate: bool = False,
    ) -> Any:  # noqa: ANN401 - a dict, or FiftyOne's record of a delegated operation
        """Queue the doubtful frames of a tracked field.

        Args:
            sample_collection: a dataset or view.
            field: written by `track_objects`.
            threshold: scores below it are doubtful.
            limit: most entries.
            view_name: of the saved view; by default "review" and the field's name.
            sort_field: orders images.
            group_field: tells sequences of images apart.
            delegate: queue it instead of running it now.

        Returns:
            A dict with `view`, the name of the saved view, the number of `entries` and a `summary`.

        Raises:
            AgssError: what was wrong.
        """
        return self.run(
            sample_collection, delegate, field=field, threshold=threshold, limit=limit, view_name=view_name,
            sort_field=sort_field, group_field=group_field,
        )  # fmt: skip


class _ReviewJob:
    """The work, clip by clip."""

    def __init__(self, collection: SampleCollection, params: dict[str, Any]) -> None:
        self._threshold = float(params.get("threshold", THRESHOLD))
        self._limit = int(params.get("limit", LIMIT))
        if not 0 <= self._threshold <= 1 or self._limit < 1:
            raise ConfigError(f"threshold {self._threshold} must be from 0 to 1, and limit {self._limit} at least 1.")
        self._clips = find_clips(collection, *chosen_order(collection, params, params.get("field", "")))
        self._view = readable(collection)
        self._dataset = unfiltered(self._view)
        self._field = input_field(self._view, params.get("field", ""), MASKS[:1])
        self._name = review_field(self._field)
        check_review_field(self._view._dataset, self._name)
        self._saved = params.get("view_name") or f"review {self._field.name}"
        if self._view.count(self._field.root) == 0:
            raise AgssError(f"field {self._field.name!r} holds no label in this view; run track_objects first.")
        self.result: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Progress]:
        queue: dict[Clip, list[QueueEntry]] = {}
        for place, clip in enumerate(self._clips):
            yield Progress(place / len(self._clips), clip.name)
            found = doubts(self._dataset, clip, self._field, self._threshold)
            queue[clip] = entries(found, joined=clip.is_video)
        write_queue(self._dataset, self._name, queue)
        self.result = self._save(queue)

    def _save(self, queue: dict[Clip, list[QueueEntry]]) -> dict[str, Any]:
        total = sum(map(len, queue.values()))
        if total == 0:
            words = f"Nothing to look at: no score below {self._threshold}, nothing lost."
            return {"view": None, "entries": 0, "summary": words}
        shown = min(total, self._limit)
        view = queue_view(self._view, self._name, self._clips[0].is_video, self._limit)
        about = f"{shown} of {plural(total, 'place')} to look at in {self._field.name}, worst first"
        self._view._dataset.save_view(self._saved, view, description=about, overwrite=True)
        clips = {clip.key for clip, found in queue.items() if found}  # parts of a video are one
        where = f"in {len(clips)} of {plural(len({clip.key for clip in queue}), 'clip')}"
        words = f"{plural(total, 'place')} to look at {where}; saved as view {self._saved!r}, worst first."
        worst = sorted(((e, clip.name) for clip, found in queue.items() for e in found), key=lambda pair: pair[0].score)
        listed = [{"clip": n, "frame": e.worst + 1, "score": e.score, "reason": e.reason} for e, n in worst[:20]]
        return {"view": self._saved, "entries": shown, "worst": listed, "summary": words}
