"""What users start from the App, from Python or delegated: a form, a call into the modules beside, and a summary.

FiftyOne runs the plugin's `__init__` again on every call while this package stays loaded; keep it free of torch.
"""

from __future__ import annotations

from typing import Any


def register_all(plugin: Any) -> None:
    """Register every operator and panel; names must also stand in `plugin/fiftyone.yml`."""
    del plugin
