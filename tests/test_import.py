from __future__ import annotations

import os
import subprocess
import sys

import pytest

import agss_model


def test_importing_the_model_needs_torch_numpy_and_opencv_only():
    """In a process where nothing else can be imported, the package, its networks, tracker and flow still can."""
    code = """
import importlib.abc, sys
import torch, numpy, cv2
allowed = {"agss_model"}
before = {name.split(".")[0] for name in sys.modules}
class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in allowed and top not in before and top not in sys.stdlib_module_names:
            raise ImportError(f"agss_model must not need {name}")
sys.meta_path.insert(0, Guard())
import agss_model
from agss_model.network import build_network
from agss_model.config import PRESETS
for config in PRESETS.values():
    build_network(config)
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "fine"


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "2000 None"), ({"GOMP_SPINCOUNT": "7"}, "7 None"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE")],
)
def test_waiting_threads_sleep_unless_somebody_says_otherwise(given, expected):
    """Set before torch is loaded, whose threads read it then."""
    code = (
        "import sys, os, agss_model\n"
        "assert 'torch' not in sys.modules\n"
        "print(*map(os.environ.get, ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')))"
    )
    left = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=left | given)
    assert done.stdout.strip() == expected, done.stderr


def test_every_public_name_has_a_home():
    assert all(getattr(agss_model, name) is not None for name in agss_model.__all__)
