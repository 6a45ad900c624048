"""AGSS-VOS: every object of a video, segmented in one pass per frame.

>>> from agss_model import Tracker, load_model    # doctest: +SKIP
>>> tracker = Tracker(load_model("lite"))         # doctest: +SKIP

Frames and human masks come in, masks with scores go out. May import none of the other packages. In this package every
room may import the plain files `bounded_json`, `config`, `errors`, `files`, `pictures`, `ranges` and `words`; each room
names the others that it needs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agss_model.tracking.results import FrameResult
    from agss_model.tracking.tracker import Tracker
    from agss_model.video import open_source
    from agss_model.weights.registry import load_model

# torch's threads wait for each other by spinning, hundreds of times a frame. Where another process has a core, they
# keep each other from it, and a frame takes ten times as long; so they sleep soon. This is read when torch is loaded.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
    os.environ["GOMP_SPINCOUNT"] = "2000"

__version__ = "0.2.0"
__all__ = ["FrameResult", "Tracker", "__version__", "load_model", "open_source"]

_HOMES = {
    "FrameResult": "tracking.results",
    "Tracker": "tracking.tracker",
    "load_model": "weights.registry",
    "open_source": "video",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that importing the package needs torch, numpy and OpenCV only."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
