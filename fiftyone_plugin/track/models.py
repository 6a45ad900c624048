"""Networks, loaded once: FiftyOne runs the plugin's own file again on every call, but this module stays."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agss_model.network.base import AGSSVOS

DEFAULT = "lite"


def load_network(name: str = DEFAULT, device: str = "auto") -> AGSSVOS:
    """A network in eval mode, run by the fastest engine that has torch's masks; the last two asked for stay in memory.

    Args:
        name: of shipped weights, or a file of weights.
        device: "auto" for the first GPU, else the CPU; or as torch writes it.

    Raises:
        WeightsError: unknown name, missing or damaged file.
        ConfigError: the device is not there.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    file = Path(name)
    return _load(name, device, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=2)
def _load(name: str, device: str, changed: int) -> AGSSVOS:
    from agss_model.engines import use_engine
    from agss_model.system.allocator import keep_freed_memory
    from agss_model.weights.registry import load_model

    if device == "cpu":
        keep_freed_memory()
    network = load_model(name, device)
    use_engine(network, "auto")
    return network
