"""Where the folder lies that FiftyOne loads."""

from __future__ import annotations

from pathlib import Path

PLUGIN = Path(__file__).resolve().parents[2] / "fiftyone_plugin" / "plugin"
