"""The operators `track_objects` and `stop_tracking`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.core.collections import SampleCollection
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.message import GeneratedMessage

from fiftyone_plugin import PLUGIN
from fiftyone_plugin.data.fields import MASKS, PROMPTS, label_fields
from fiftyone_plugin.data.progress import Progress
from fiftyone_plugin.operators.common import (
    Base,
    Job,
    ask_order,
    choose,
    choose_field,
    request_stop,
    stop_requested,
    suggest,
)
from fiftyone_plugin.track.models import DEFAULT
from fiftyone_plugin.track.outcome import DIRECTIONS, TrackSettings
from fiftyone_plugin.track.tracking import TrackingRun

PARAMETERS = tuple(TrackSettings.__dataclass_fields__)


class TrackObjects(Base):
    """Masks of every object in every frame, from what was drawn on some."""

    NAME = "track_objects"
    LABEL = "Track objects"
    ICON = "track"
    DESCRIPTION = "Masks of every object in every frame, from the masks, polygons or boxes of some frames"
    WRITES = True
    PLACE = types.Places.SAMPLES_GRID_SECONDARY_ACTIONS

    def form(self, ctx: foo.ExecutionContext, inputs: types.Object, view: SampleCollection) -> None:
        """Add fields, direction, model and the order of images to the form."""
        choose_field(
            inputs, view, "input_annotation_field", "Track from", PROMPTS,
            description="Field with the masks, polygons or boxes that were drawn on some frames. To end an object, "
            "shorten its bar in Annotate mode to where it leaves, and track again: it stays away until drawn again",
        )  # fmt: skip
        given = ctx.params.get("input_annotation_field") or label_fields(view)[0]
        suggest(
            inputs, "output_annotation_field", label_fields(view, MASKS), "Write to",
            description="A new field, or one with masks; what humans drew in it stays as it is and is tracked from too",
            default=TrackSettings(given).output,
        )  # fmt: skip
        choose(
            inputs, "direction", DIRECTIONS, "Direction", default="both",
            description="Both: frames between two drawn ones are tracked from either side and fused",
        )  # fmt: skip
        ask_order(inputs, view)
        inputs.str("model", label="Model", default=DEFAULT, description="Name of shipped weights, or a weights file")
        inputs.str("device", label="Device", default="auto", description="auto, cpu, cuda, cuda:1 ...")
        inputs.float(
            "adapt", label="Learn from each clip first, for so many minutes", default=0, min=0,
            description="0 for not at all. Pays where bodies turn or looks are odd; what is not better is not used",
        )  # fmt: skip
        inputs.int(
            "workers", label="Workers", default=1, min=1,
            description="When scheduled: how many `fiftyone delegated launch` may share the clips",
        )  # fmt: skip

    def job(self, ctx: foo.ExecutionContext, view: SampleCollection) -> Job:
        """Check and load."""
        if ctx.delegated:
            _queue_more(ctx, self.uri, self.LABEL)
        chosen = {name: ctx.params[name] for name in PARAMETERS if ctx.params.get(name) not in (None, "")}
        return TrackingRun(view, TrackSettings(**chosen), stop=stop_requested(ctx))

    def report(self, ctx: foo.ExecutionContext, progress: Progress) -> Iterator[GeneratedMessage]:
        """How far it is, and a button that ends it."""
        yield from super().report(ctx, progress)
        outputs = types.Object()
        outputs.float("progress", view=types.ProgressView(label=progress.label))
        outputs.view("stop", types.Button(label="Stop", operator=f"{PLUGIN}/stop_tracking"))
        form = types.Property(outputs, view=types.View(label=self.LABEL))
        yield ctx.ops.show_output(form.to_json(), {"progress": progress.done})

    def __call__(
        self,
        sample_collection: SampleCollection,
        input_annotation_field: str,
        output_annotation_field: str | None = None,
        *,
        sort_field: str | None = None,
        group_field: str | None = None,
        direction: str = "both",
        model: str = DEFAULT,
        device: str = "auto",
        adapt: float = 0.0,
        workers: int = 1,
        delegate: bool = False,
    ) -> Any:  # noqa: ANN401 - a dict, or FiftyOne's record of a delegated operation
        """Track the objects of a dataset or view.

        Args:
            sample_collection: of videos, or of images in order.
            input_annotation_field: holds what was drawn on some frames.
            output_annotation_field: gets the masks, may be the same; by default the input's name and "_propagated".
            sort_field: orders images.
            group_field: tells sequences of images apart.
            direction: "both", "forward" or "backward".
            model: name of shipped weights, or a weights file.
            device: "auto" for the first GPU, else the CPU; or as torch writes it.
            adapt: minutes in which to learn from each clip's drawings first; 0 for not at all.
            workers: of a delegated run, how many `fiftyone delegated launch` share the clips.
            delegate: queue it instead of running it now.

        Returns:
            The summary as a dict; for a delegated run FiftyOne's `ExecutionResult`.

        Raises:
            AgssError: nothing could be tracked; the message says why.
        """
        settings = TrackSettings(
            input_annotation_field, output_annotation_field, sort_field, group_field, direction, model, device, adapt
        )
        return self.run(sample_collection, delegate, workers=workers, **asdict(settings))


def _queue_more(ctx: foo.ExecutionContext, uri: str, label: str) -> None:
    """Queue this operation for the other workers, which take clips that nobody is at."""
    request = {name: value for name, value in ctx.request_params.items() if name != "run_doc"}
    request["params"] = {**ctx.params, "workers": 1}
    for _ in range(int(ctx.params.get("workers") or 1) - 1):
        DelegatedOperationService().queue_operation(uri, label=label, context={"request_params": request})


class StopTracking(foo.Operator):
    """Ends the runs on this dataset at their next frame."""

    @property
    def config(self) -> foo.OperatorConfig:
        """How FiftyOne shows and runs it."""
        return foo.OperatorConfig(
            name="stop_tracking",
            label="Stop tracking",
            description="End running track_objects on this dataset; what was tracked is kept",
            icon="/assets/track-dark.svg",
            risk_level="low",
        )

    def execute(self, ctx: foo.ExecutionContext) -> None:
        """Ask them to stop."""
        request_stop(ctx)

    def __call__(self, sample_collection: SampleCollection) -> None:
        """Stop the runs on the dataset of a collection."""
        foo.execute_operator(self.uri, {"dataset": sample_collection._root_dataset})
