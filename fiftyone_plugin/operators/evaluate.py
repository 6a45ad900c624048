"""The operator `evaluate_tracking`, and the metrics it brings into FiftyOne's Model Evaluation panel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.core.collections import SampleCollection
from fiftyone.core.evaluation import EvaluationMethodConfig, EvaluationResults
from fiftyone.operators.store import ExecutionStore

from agss_model.errors import ConfigError
from agss_model.words import listing, plural
from fiftyone_plugin import PLUGIN
from fiftyone_plugin.data.clips import Clip, find_clips
from fiftyone_plugin.data.collections import readable, unfiltered
from fiftyone_plugin.data.database import guarded
from fiftyone_plugin.data.fields import MASKS, Field, input_field, label_fields
from fiftyone_plugin.data.progress import Progress
from fiftyone_plugin.operators.common import (
    STORE,
    Base,
    Job,
    ask_order,
    choose,
    choose_field,
    choose_tracks,
    chosen_order,
)
from fiftyone_plugin.review.evaluation import PROTOCOLS, Evaluation, EvaluationRun, write_scores

SAID = {"davis": "Official semi-supervised protocol of DAVIS", "all": "All frames with ground truth"}
LAST = "evaluation"
"""Key in the dataset's execution store of the last evaluation, as `Evaluation.to_dict` has it."""
_ready: dict[tuple[str, str], Evaluation] = {}
"""Scores that the operator has and the metrics are about to be asked for, by dataset and evaluation key."""


def _scores(samples: SampleCollection, results: EvaluationResults, protocol: str) -> Evaluation:
    """Scores of the fields of a FiftyOne evaluation."""
    known = _ready.get((str(samples._dataset._doc.id), results.key))
    if known is not None:
        return known
    view = readable(samples)
    pred, truth = (input_field(view, name, MASKS) for name in (results.config.pred_field, results.config.gt_field))
    clips = find_clips(samples, *chosen_order(samples, {}, pred.name, truth.name))
    run = EvaluationRun(unfiltered(view), clips, pred, truth, protocol)
    for _ in run:
        pass
    write_scores(unfiltered(view), run.evaluation, f"{results.key}_jandf")
    return run.evaluation


class _Metric(foo.EvaluationMetric):
    """A number of the last evaluation, by its name in `Evaluation`."""

    NAME = ""
    LABEL = ""
    DESCRIPTION = ""

    @property
    def config(self) -> foo.EvaluationMetricConfig:
        """How FiftyOne shows it."""
        config = foo.EvaluationMetricConfig(
            name=self.NAME, label=self.LABEL, description=self.DESCRIPTION, aggregate_key=self.NAME,
            eval_types=["detection"], lower_is_better=False, unlisted=True, risk_level="low",
        )  # fmt: skip
        config.kwargs["lower_is_better"] = False  # FiftyOne looks for it here
        return config

    def compute(self, samples: SampleCollection, results: EvaluationResults, protocol: str = PROTOCOLS[0]) -> float:
        """The number."""
        raise NotImplementedError


class JandF(_Metric):
    """Mean of region similarity and boundary measure over all objects."""

    NAME = "jandf"
    LABEL = "J&F"
    DESCRIPTION = "Region similarity and boundary measure of tracked objects, as DAVIS defines them"

    def compute(self, samples: SampleCollection, results: EvaluationResults, protocol: str = PROTOCOLS[0]) -> float:
        """J&F in [0, 1]."""
        return _scores(samples, results, protocol).mean("JF")

    def get_fields(self, samples: SampleCollection, config: EvaluationMethodConfig, eval_key: str) -> list[str]:
        """Where `compute` leaves J&F of clips and frames."""
        name = f"{eval_key}_jandf"
        return [path for path in (name, f"frames.{name}") if samples.has_field(path)]


class IdentityKept(_Metric):
    """Share of the tracks on objects that are the object's own."""

    NAME = "identity_kept"
    LABEL = "Identity kept"
    DESCRIPTION = "How often the track on an object is the object's own"

    def compute(self, samples: SampleCollection, results: EvaluationResults, protocol: str = PROTOCOLS[0]) -> float:
        """The measure, in [0, 1]."""
        return _scores(samples, results, protocol).identity


METRICS = tuple(f"{PLUGIN}/{metric.NAME}" for metric in (JandF, IdentityKept))


class EvaluateTracking(Base):
    """J, F and J&F per object, clip and dataset."""

    NAME = "evaluate_tracking"
    LABEL = "Evaluate tracking"
    ICON = "evaluate"
    DESCRIPTION = "J, F and J&F of tracked objects against a ground truth, and whether identities were kept"

    def form(self, ctx: foo.ExecutionContext, inputs: types.Object, view: SampleCollection) -> None:
        """Add the fields and the key to the form."""
        tracked = choose_tracks(ctx, inputs, view, "pred_field", "Tracked field")
        others = [name for name in label_fields(view, MASKS[:1]) if name != tracked]
        others.sort(key=lambda name: "truth" not in name and name != "gt")
        choose_field(inputs, view, "gt_field", "Ground truth", MASKS[:1], default=others[0] if others else None)
        inputs.str("eval_key", label="Evaluation key", default="tracking", description="Names the evaluation")
        choose(
            inputs, "protocol", PROTOCOLS, "Protocol", default=PROTOCOLS[0],
            description="davis: the official one, without each object's first and the last frame; all: every frame",
        )  # fmt: skip
        ask_order(inputs, view)

    def resolve_output(self, ctx: foo.ExecutionContext) -> types.Property:
        """The summary and a table."""
        outputs = types.Object()
        outputs.str("summary", label="Summary", view=types.MarkdownView(read_only=True))
        table = types.TableView()
        for name, label in (("clip", "Clip"), ("object", "Object"), ("J", "J"), ("F", "F"), ("JF", "J&F")):
            table.add_column(name, label=label)
        outputs.list("rows", types.Object(), label="Objects", view=table)
        return types.Property(outputs, view=types.View(label=self.LABEL))

    def job(self, ctx: foo.ExecutionContext, view: SampleCollection) -> Job:
        """Check; then score clip by clip and register the evaluation."""
        return _EvaluationJob(view, ctx.params)

    def __call__(
        self,
        sample_collection: SampleCollection,
        pred_field: str,
        gt_field: str,
        *,
        eval_key: str = "tracking",
        protocol: str = PROTOCOLS[0],
        sort_field: str | None = None,
        group_field: str | None = None,
        delegate: bool = False,
    ) -> Any:  # noqa: ANN401 - a dict, or FiftyOne's record of a delegated operation
        """Score a tracked field.

        Args:
            sample_collection: a dataset or view.
            pred_field: with the tracks.
            gt_field: with the ground truth.
            eval_key: names the evaluation in FiftyOne; an earlier one of this name is replaced.
            protocol: "davis" for the official semi-supervised one, which leaves out an object's first frame and the
                clip's last; "all" for every frame with ground truth.
            sort_field: orders images.
            group_field: tells sequences of images apart.
            delegate: queue it instead of running it now.

        Returns:
            A dict with `J`, `F`, `JF`, `identity`, `switches`, `clips` (each with its objects) and a `summary`.

        Raises:
            AgssError: what was wrong.
        """
        return self.run(
            sample_collection, delegate, pred_field=pred_field, gt_field=gt_field, eval_key=eval_key,
            protocol=protocol, sort_field=sort_field, group_field=group_field,
        )  # fmt: skip


class _EvaluationJob:
    """The work, clip by clip."""

    def __init__(self, collection: SampleCollection, params: dict[str, Any]) -> None:
        self._key = params.get("eval_key") or "tracking"
        if not str(self._key).isidentifier():
            raise ConfigError(f"{self._key!r} cannot name an evaluation; use letters, digits and _.")
        self._clips: list[Clip] = find_clips(
            collection, *chosen_order(collection, params, params.get("pred_field", ""), params.get("gt_field", ""))
        )
        self._view = readable(collection)
        self._pred: Field = input_field(self._view, params.get("pred_field", ""), MASKS[:1])
        self._truth: Field = input_field(self._view, params.get("gt_field", ""), MASKS[:1])
        if self._pred.name == self._truth.name:
            raise ConfigError(f"{self._pred.name!r} would be compared with itself; choose another ground truth.")
        self._protocol = str(params.get("protocol") or PROTOCOLS[0])
        self._data = unfiltered(self._view)
        self._run = EvaluationRun(self._data, self._clips, self._pred, self._truth, self._protocol)
        self.result: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Progress]:
        run = self._run
        for share, name in run:
            yield Progress(share * 0.9, name)
        found = run.evaluation.to_dict()  # raises where nothing was scored
        yield Progress(0.9, "FiftyOne's own evaluation")
        guarded(lambda: self._register(run.evaluation))
        ExecutionStore.create(STORE, self._view._dataset._doc.id).set(
            LAST,
            {
                "eval_key": self._key,
                "protocol": self._protocol,
                "pred_field": self._pred.name,
                "gt_field": self._truth.name,
                **found,
            },
        )
        self.result = {
            "eval_key": self._key,
            **found,
            "rows": _rows(found),
            "summary": _sentence(found, self._protocol),
        }

    def _register(self, evaluation: Evaluation) -> None:
        """Register an evaluation of FiftyOne, which shows in the Model Evaluation panel with our metrics."""
        place = (str(self._view._dataset._doc.id), self._key)
        if self._key in self._view._dataset.list_evaluations():
            self._view._dataset.delete_evaluation(self._key)
        write_scores(self._data, evaluation, f"{self._key}_jandf")
        _ready[place] = evaluation
        unscored = [label for clip in evaluation.clips.values() for label in clip.unscored]
        fields = [self._pred.path, self._truth.path]
        counted = self._view.exclude_labels(ids=unscored, fields=fields) if unscored else self._view
        try:
            counted.evaluate_detections(
                self._pred.path, gt_field=self._truth.path, eval_key=self._key, use_masks=True,
                custom_metrics=list(METRICS), progress=False,
            )  # fmt: skip
        finally:
            del _ready[place]


def _rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"clip": clip["clip"], "object": name, **{key: f"{score[key]:.3f}" for key in ("J", "F", "JF")}}
        for clip in found["clips"]
        for name, score in clip["objects"].items()
    ]


def _sentence(found: dict[str, Any], protocol: str) -> str:
    objects = sum(len(clip["objects"]) for clip in found["clips"])
    words = (
        f"{SAID[protocol]}: J&F {found['JF']:.3f} (J {found['J']:.3f}, F {found['F']:.3f}) over "
        f"{plural(objects, 'object')} in {plural(len(found['clips']), 'clip')}; identity kept {found['identity']:.1%}, "
        f"{plural(found['switches'], 'switch')}."
    )
    words += f" Nothing to score in {listing(found['bare'])}." if found["bare"] else ""
    return words + "".join(f" Failed: {name}: {reason}" for name, reason in found["failed"].items())
