"""The part of the plugin that FiftyOne loads, again on every call: names only, the rest is the package `agss-vos`.

FiftyOne's call comes in, registered operators go out. May import `operators`, and works where that is not installed.
"""

from __future__ import annotations

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.plugins.context import PluginContext

INSTALL = 'pip install ".[fiftyone]" in a clone of the project'
OPERATORS = {
    "track_objects": "Track objects",
    "apply_to_track": "Apply to the track",
    "review_queue": "Review tracked objects",
    "evaluate_tracking": "Evaluate tracking",
    "export_training": "Export for training",
    "import_annotations": "Import annotations",
}


def register(plugin: PluginContext) -> None:
    """Called by FiftyOne; without the package, operators appear all the same and say what to install."""
    try:
        from fiftyone_plugin.operators import register_all
    except ImportError as error:
        for name, label in OPERATORS.items():
            plugin.register(_missing(name, label, f"The package agss-vos is missing or broken ({error}): {INSTALL}"))
    else:
        register_all(plugin)


def _missing(name: str, label: str, message: str) -> type[foo.Operator]:
    class Missing(foo.Operator):
        """Stands in for an operator whose package is not there."""

        @property
        def config(self) -> foo.OperatorConfig:
            return foo.OperatorConfig(name=name, label=label, dynamic=True, risk_level="low")

        def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
            inputs = types.Object()
            inputs.view("missing", types.Error(label="agss-vos is not installed", description=message))
            return types.Property(inputs, view=types.View(label=label))

        def execute(self, ctx: foo.ExecutionContext) -> None:
            raise RuntimeError(message)

        def __call__(self, *arguments: object, **options: object) -> None:
            raise RuntimeError(message)

    return Missing
