"""An annotation page in a real Chromium, with the button on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from button_page import HEIGHT, WIDTH, Annotation
from button_server import ButtonServer

sys.path.append(str(Path(__file__).parents[1]))  # The function's client lives beside its own tests.


@pytest.fixture
def server() -> Iterator[ButtonServer]:
    running = ButtonServer(WIDTH, HEIGHT)
    yield running
    running.close()


@pytest.fixture
def annotation(page: Any, server: ButtonServer) -> Annotation:
    page.set_default_timeout(10_000)
    return Annotation(page, server)
