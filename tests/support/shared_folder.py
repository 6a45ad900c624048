"""The folder of data and cases beside the repository, for what is asked before there are fixtures."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).resolve().parents[3] / "shared"
"""It may be absent; tests that need it then skip."""
