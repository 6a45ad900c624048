"""What users start from the App, from Python or delegated: a form, a call into the modules beside, and a summary.

A form's answers come in; a started job and its summary go out. May import `agss_model`, and everything in
`fiftyone_plugin` but `plugin`. FiftyOne runs the plugin's `__init__` again on every call while this package
stays loaded; keep it free of torch.
"""

from __future__ import annotations

from fiftyone.plugins.context import PluginContext

from fiftyone_plugin import zoo
from fiftyone_plugin.operators.carry import ApplyToTrack
from fiftyone_plugin.operators.evaluate import EvaluateTracking, IdentityKept, JandF
from fiftyone_plugin.operators.exchange import ExportTraining, ImportAnnotations
from fiftyone_plugin.operators.panel import TrackingScores
from fiftyone_plugin.operators.review import ReviewQueue
from fiftyone_plugin.operators.step import StepToDoubt
from fiftyone_plugin.operators.track import StopTracking, TrackObjects

OPERATORS = (
    TrackObjects,
    StopTracking,
    ApplyToTrack,
    ReviewQueue,
    StepToDoubt,
    EvaluateTracking,
    ExportTraining,
    ImportAnnotations,
    JandF,
    IdentityKept,
    TrackingScores,
)


def register_all(plugin: PluginContext) -> None:
    """Register every operator and the panel; their names must also stand in `plugin/fiftyone.yml`."""
    zoo.register()
    for operator in OPERATORS:
        plugin.register(operator)
