"""Load networks as the options of a command ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from agss_model.engines import use_engine
from agss_model.errors import ConfigError, WeightsError
from agss_model.flow import FLOW_NAMES, FlowEstimator, build_flow
from agss_model.network.base import AGSSVOS
from agss_model.system.allocator import keep_freed_memory
from agss_model.tracking.tracker import Tracker
from agss_model.weights.files import read_weights
from agss_model.weights.fingerprint import fingerprint
from agss_model.weights.registry import load_model, shipped_models

MAX_ENLARGEMENT = 4.0  # of frames below a `--max-side` that was asked for
_WITH_WEIGHTS = ("flownet2c", "flownet2")


@dataclass(frozen=True)
class Engine:
    """A network and what goes with it.

    Attributes:
        network: in eval mode, on its device.
        flow: the estimator, or None where the network uses none.
        weights: the name or file it came from.
        name: what runs the network, see `agss_model.engines`.
    """

    network: AGSSVOS
    flow: FlowEstimator | None
    weights: str
    name: str = "torch"

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return next(self.network.parameters()).device

    def tracker(self) -> Tracker:
        """A new tracker."""
        return Tracker(self.network, flow=self.flow)

    def fingerprint(self) -> str:
        """SHA-256 over all parameters of network and flow, so that one changed number shows."""
        return fingerprint(self.network, *([self.flow] if isinstance(self.flow, torch.nn.Module) else []))


def load_engine(
    weights: str | None,
    flow: str | None,
    device: str,
    threads: int | None,
    seed: int | None = None,
    *,
    max_side: int | None = None,
    engine: str = "torch",
) -> Engine:
    """Load what the options ask for.

    Args:
        weights: name or file, None for the default.
        flow: name of an estimator or a file with weights of one, None for what the weights were made for.
        device: as torch writes it, or "auto".
        threads: of torch and OpenCV on the CPU, None to leave them.
        seed: of torch's random numbers, None to leave them.
        max_side: longest side at which the network works, None for what the weights were made for.
        engine: what runs the network on a CPU, of `agss_model.engines.ENGINES`.

    Raises:
        ConfigError: an option cannot be used.
        WeightsError: weights are missing, damaged or of something else.
    """
    set_threads(threads)
    if seed is not None:
        torch.manual_seed(seed)
    device = pick_device(device)
    if device == "cpu":
        keep_freed_memory()
    weights = weights or default_weights()
    name, file = _flow_choice(flow)
    overrides: dict[str, object] = {} if name is None else {"flow": name, "use_flow": name != "none"}
    if max_side is not None:
        overrides |= {"max_side": max_side, "small_object": 0, "max_enlargement": MAX_ENLARGEMENT}
    network = load_model(weights, device, **overrides)
    estimator = _load_flow(network, weights, file, device)
    return Engine(network, estimator, weights, use_engine(network, engine, threads))


def set_threads(threads: int | None) -> None:
    """Give torch and OpenCV so many CPU threads.

    Raises:
        ConfigError: fewer than one.
    """
    if threads is None:
        return
    if threads < 1:
        raise ConfigError(f"--threads is {threads}; use 1 or more.")
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def pick_device(device: str) -> str:
    """The device itself, or for "auto" the first GPU, else the CPU."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def default_weights() -> str:
    """The shipped `lite`; labels carried by ImageNet features where it is not shipped."""
    return "lite" if "lite" in shipped_models() else "propagation"


def _flow_choice(flow: str | None) -> tuple[str | None, Path | None]:
    """Name of the estimator, and the file of its weights where one was named."""
    if flow is None or flow in FLOW_NAMES:
        return flow, None
    if not flow.endswith(".safetensors"):
        raise ConfigError(f"--flow is {flow!r}; choose one of {', '.join(FLOW_NAMES)}, or give a .safetensors file.")
    kind = read_weights(Path(flow))[2].get("kind", "no flow network")
    if kind not in _WITH_WEIGHTS:
        raise WeightsError(f"{flow} holds {kind}; --flow needs the weights of {' or '.join(_WITH_WEIGHTS)}.")
    return kind, Path(flow)


def _load_flow(network: AGSSVOS, weights: str, file: Path | None, device: str) -> FlowEstimator | None:
    if not network.config.use_flow:
        return None
    name = network.config.flow
    if name not in _WITH_WEIGHTS:
        return build_flow(name)
    # `agss weights import` puts the flow network of a checkpoint beside the segmentation network.
    beside = Path(weights).with_name(f"{Path(weights).stem}-{name}.safetensors")
    file = file or (beside if beside.is_file() else None)
    estimator = build_flow(name, state_dict=read_weights(file)[0] if file else None)
    return estimator.to(device) if isinstance(estimator, torch.nn.Module) else estimator
