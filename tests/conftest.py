"""Shared by all tests: fast ones first, tiny networks, moving pictures with known masks."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from browser import browser, page  # noqa: F401 - fixtures
from database import database  # noqa: F401 - a fixture; importing it also keeps FiftyOne away from the user's home
from shared_folder import SHARED

from agss_model.config import preset
from agss_model.network import build_network
from agss_model.network.base import AGSSVOS

# No test may fail because a machine is busy; and continuous integration tries the same examples each time, so that what
# it says depends on the code alone.
hypothesis.settings.register_profile("here", deadline=None, derandomize="AGSS_SAME_EXAMPLES" in os.environ)
hypothesis.settings.load_profile("here")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _priority_is_left_alone():
    """No test leaves this process another priority: what it starts later inherits it, and with a real-time one, which
    libraries take where they may (as root), a browser starves the machine it waits for."""
    before = _priority()
    yield
    assert _priority() == before, "the test, or a library it used, changed the priority of this process"


def _priority():
    return (os.sched_getscheduler(0), os.nice(0)) if hasattr(os, "sched_getscheduler") else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder shared/data beside the repository")
    return folder


@pytest.fixture
def lite() -> AGSSVOS:
    """`lite` with random weights, always the same ones."""
    torch.manual_seed(0)
    return build_network(preset("lite")).eval()


class Scene:
    """Textured squares that move over a textured background; masks are exact."""

    def __init__(self, objects: int = 2, size: tuple[int, int] = (96, 128), seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.height, self.width = size
        self.background = rng.integers(0, 120, (*size, 3), dtype=np.uint8)
        self.colours = rng.integers(130, 255, (objects, 3), dtype=np.uint8)
        self.objects = objects

    def masks(self, t: int) -> dict[int, np.ndarray]:
        out = {}
        for k in range(self.objects):
            mask = np.zeros((self.height, self.width), bool)
            x, y = 6 + 2 * t, 6 + k * (self.height // self.objects)
            mask[y : y + self.height // self.objects - 10, x : x + 28] = True
            out[k + 1] = mask
        return out

    def frame(self, t: int) -> np.ndarray:
        image = self.background.copy()
        for k, mask in self.masks(t).items():
            image[mask] = self.colours[k - 1]
        return image


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def make_scene():
    return Scene
