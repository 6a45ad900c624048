"""Everything here runs against a real FiftyOne with a real database."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _connected(database):
    """Every test of this folder has the database."""
