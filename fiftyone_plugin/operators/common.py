"""What the operators share: a form that starts a job, progress in three kinds of execution, requests to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.core.collections import SampleCollection
from fiftyone.core.utils import ProgressBar
from fiftyone.operators.message import GeneratedMessage
from fiftyone.operators.store import ExecutionStore

from agss_model.errors import AgssError
from fiftyone_plugin import PLUGIN
from fiftyone_plugin.data.collections import flat
from fiftyone_plugin.data.fields import MASKS, label_fields
from fiftyone_plugin.data.order import Order, order_for
from fiftyone_plugin.data.progress import Progress
from fiftyone_plugin.review.scores import track_fields

STORE, STOP = "agss-vos", "stop"
PAUSE = 0.5  # seconds between two reports of progress


class Job(Protocol):
    """Work that was checked when it was made and is done by iterating."""

    def __iter__(self) -> Iterator[Progress]:
        """Work, and say how far it is."""

    @property
    def result(self) -> dict[str, Any]:
        """What came out, as plain values with the sentences of a `summary`."""


class Base(foo.Operator):
    """A form and the job that it starts; can be delegated and reports progress.

    An operator gives its names, `form` and `job`, and a `__call__` that names its parameters for Python and hands them
    to `run`. FiftyOne executes it in one of three ways: for the App, which asks for messages as work goes on;
    delegated, where progress is noted in the database; and from Python, where only the result counts.
    """

    NAME = ""
    LABEL = ""
    ICON = ""
    DESCRIPTION = ""
    WRITES = False  # labels, which an open video may show
    PLACE: types.Places | None = None  # of its button

    @property
    def config(self) -> foo.OperatorConfig:
        """How FiftyOne shows and runs it."""
        return foo.OperatorConfig(
            name=self.NAME,
            label=self.LABEL,
            description=self.DESCRIPTION,
            icon=f"/assets/{self.ICON}-dark.svg",
            light_icon=f"/assets/{self.ICON}-light.svg",
            dark_icon=f"/assets/{self.ICON}-dark.svg",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            risk_level="medium",
        )

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement | None:
        """A button where the operator has a place for one."""
        button = types.Button(label=self.LABEL, icon=f"/assets/{self.ICON}-dark.svg", prompt=True)
        return types.Placement(self.PLACE, button) if self.PLACE else None

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form, or what is missing for it."""
        inputs = types.Object()
        try:
            self.form(ctx, inputs, target(ctx))
        except AgssError as error:
            refuse(inputs, str(error))
        return types.Property(inputs, view=types.View(label=self.LABEL))

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """What came out, in sentences, and a table where clips failed."""
        outputs = types.Object()
        outputs.str("summary", label="Summary", view=types.MarkdownView(read_only=True))
        if (ctx.results or {}).get("failures"):
            table = types.TableView()
            table.add_column("clip", label="Clip")
            table.add_column("reason", label="Reason")
            outputs.list("failures", types.Object(), label="Failed", view=table)
        return types.Property(outputs, view=types.View(label=self.LABEL))

    def execute(self, ctx: foo.ExecutionContext) -> Any:  # noqa: ANN401 - as FiftyOne has it
        """Check, then work; a generator of messages for the App, else the result."""
        job = self.job(ctx, target(ctx))
        if _streams(ctx):
            return self._messages(ctx, job)
        for progress in _rarely(job):
            if ctx.delegated:
                ctx.set_progress(progress=progress.done, label=progress.label)
        return job.result

    def form(self, ctx: foo.ExecutionContext, inputs: types.Object, view: SampleCollection) -> None:
        """Add the inputs."""
        raise NotImplementedError

    def job(self, ctx: foo.ExecutionContext, view: SampleCollection) -> Job:
        """Check the parameters and return the work.

        Raises:
            AgssError: what is wrong with them.
        """
        raise NotImplementedError

    def done(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> Iterator[GeneratedMessage]:
        """What the App does afterwards."""
        yield from self.renew(ctx)

    def renew(self, ctx: foo.ExecutionContext) -> Iterator[GeneratedMessage]:
        """Let the App read what was written."""
        yield ctx.ops.reload_dataset()
        if self.WRITES and ctx.current_sample:
            yield ctx.trigger(f"{PLUGIN}/reopen")

    def run(self, collection: SampleCollection, delegate: bool, **params: object) -> Any:  # noqa: ANN401
        """Execute from Python.

        An immediate run goes on in this thread: FiftyOne's own way ends after its time for operators (ten minutes),
        and Ctrl-C would not reach it.

        Args:
            collection: a dataset or view.
            delegate: queue it instead.
            params: of the form; those that are None are left out.

        Returns:
            The result as a dict; of a delegated run FiftyOne's `ExecutionResult`.

        Raises:
            AgssError: what was wrong.
            ExecutionError: it cannot be queued.
        """
        view = collection.view()
        given = {name: value for name, value in params.items() if value is not None}
        if delegate:
            view = flat(view)  # the active slice is this process's own
            return foo.execute_operator(self.uri, {"view": view, "params": given}, request_delegation=True)
        request = {"dataset_name": view._root_dataset.name, "view": view._serialize(), "params": given}
        job = self.job(foo.ExecutionContext(request), view)
        with ProgressBar(total=100) as bar:
            for progress in _rarely(job):
                bar.set_iteration(round(progress.done * 100), suffix=progress.label[:60])
            bar.set_iteration(100)
        view._root_dataset.reload()  # the caller's object does not know fields that are new
        return job.result

    def _messages(self, ctx: foo.ExecutionContext, job: Job) -> Iterator[GeneratedMessage]:
        try:
            for progress in _rarely(job):
                yield from self.report(ctx, progress)
        except AgssError as error:
            # The reply has begun, so an exception would only break it off.
            yield ctx.ops.notify(str(error), variant="error")
            yield from self.renew(ctx)
            yield self._outcome(ctx, {**job.result, "summary": str(error)})
            return
        yield from self.done(ctx, job.result)
        yield self._outcome(ctx, job.result)

    def report(self, ctx: foo.ExecutionContext, progress: Progress) -> Iterator[GeneratedMessage]:
        """What the App shows while the work goes on."""
        yield ctx.trigger("set_progress", {"progress": progress.done, "label": progress.label})

    def _outcome(self, ctx: foo.ExecutionContext, result: dict[str, Any]) -> GeneratedMessage:
        """What stays on the screen until it is closed."""
        failed = [{"clip": name, "reason": reason} for name, reason in result.get("failed", {}).items()]
        shown = {**result, "failures": failed}
        if failed:  # which stand in the table
            shown["summary"] = str(result["summary"]).split(" Failed: ")[0]
        request = {**ctx.request_params, "results": shown}
        return ctx.ops.show_output(self.resolve_output(foo.ExecutionContext(request)).to_json(), shown)


def target(ctx: foo.ExecutionContext) -> SampleCollection:
    """What the form says to work on; of a grouped dataset the active slice, and the form says that, too."""
    slices = ctx.dataset.media_type == "group" and not getattr(ctx.view, "_is_dynamic_groups", False)
    return ctx.target_view(require_flat=slices)


def _streams(ctx: foo.ExecutionContext) -> bool:
    """Whether the App asked: only requests over HTTP name the operator among their parameters."""
    return "operator_uri" in ctx.request_params and not ctx.delegated


def _rarely(steps: Job) -> Iterator[Progress]:
    """The first, the last, and in between not more than one in `PAUSE` seconds."""
    last, left = 0.0, None
    for progress in steps:
        left = progress
        if time.monotonic() - last > PAUSE:
            last, left = time.monotonic(), None
            yield progress
    if left is not None:
        yield left


def refuse(inputs: types.Object, message: str) -> None:
    """Show why there is nothing to fill in, and keep the button grey."""
    prop = inputs.view("refusal", types.Error(label="Not possible here", description=message))
    prop.invalid = True
    prop.error_message = message


def choose(
    inputs: types.Object, name: str, values: Iterable[str], label: str, description: str = "", **options: object
) -> None:  # fmt: skip
    """A drop-down list."""
    choices = types.DropdownView()
    for value in values:
        choices.add_choice(value, label=value)
    inputs.enum(name, choices.values(), label=label, description=description, view=choices, **options)


def suggest(
    inputs: types.Object, name: str, values: Iterable[str], label: str, description: str = "", **options: object
) -> None:  # fmt: skip
    """A text with suggestions."""
    choices = types.AutocompleteView()
    for value in values:
        choices.add_choice(value, label=value)
    inputs.str(name, label=label, description=description, view=choices, **options)


def choose_field(
    inputs: types.Object, view: SampleCollection, name: str, label: str, kinds: tuple[type, ...], **options: object
) -> None:
    """A list of label fields.

    Raises:
        AgssError: there is none.
    """
    known = label_fields(view, kinds)
    if not known:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        dataset = view._dataset
        where, other = "here", ""
        if dataset.media_type == "group":
            where, other = f"in slice {dataset.group_slice!r}", "choose another slice, or "
        raise AgssError(f"no label field with {wanted} is {where}; {other}draw or import labels first.")
    description = str(options.pop("description", ""))
    choose(inputs, name, known, label, description, **{"default": known[0], "required": True, **options})


def choose_tracks(
    ctx: foo.ExecutionContext, inputs: types.Object, view: SampleCollection, name: str, label: str,
    default: str | None = None,
) -> str | None:  # fmt: skip
    """A list of fields with masks that begins with a tracked one; returns the name of that.

    Raises:
        AgssError: there is no field with masks.
    """
    tracked = next(iter(track_fields(ctx.dataset)), None)
    choose_field(inputs, view, name, label, MASKS[:1], default=default or tracked)
    return tracked


def ask_order(inputs: types.Object, view: SampleCollection) -> None:
    """Which images are a sequence; videos need no answer, and dynamic groups are one."""
    if getattr(view, "_is_dynamic_groups", False) or flat(view).media_type == "video":
        return
    names = [name for name in view.get_field_schema() if not name.startswith("_")]
    suggest(inputs, "sort_field", names, "Order images by", "By default the group's order, or the file names")
    suggest(inputs, "group_field", names, "One sequence per", "Field that tells sequences apart")


def chosen_order(view: SampleCollection, params: dict[str, Any], *fields: str) -> Order:
    """The order of images that a form was given, else the one that its fields were tracked in."""
    return order_for(view, (params.get("sort_field"), params.get("group_field")), *fields)


def stop_requested(ctx: foo.ExecutionContext) -> Callable[[], bool]:
    """Tell whether somebody stopped runs on this dataset after now, or marked this delegated one as failed."""
    store = ExecutionStore.create(STORE, ctx.dataset._doc.id)
    began = store.get(STOP)
    document = ctx.request_params.get("run_doc") if ctx.delegated else None

    def asked() -> bool:
        if store.get(STOP) != began:
            return True
        if document is None:
            return False
        from fiftyone.operators.delegated import DelegatedOperationService
        from fiftyone.operators.executor import ExecutionRunState

        operation = DelegatedOperationService().get(document)
        return operation is not None and operation.run_state != ExecutionRunState.RUNNING

    return asked


def request_stop(ctx: foo.ExecutionContext) -> None:
    """Stop every run on this dataset at its next frame."""
    ExecutionStore.create(STORE, ctx.dataset._doc.id).set(STOP, time.time())
