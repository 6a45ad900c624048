"""Optical flow behind one protocol, and the warping that uses it.

Two frames come in, as tensors; where each pixel went goes out, and masks moved along. May import no other room; opens
no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from agss_model.errors import ConfigError, WeightsError
from agss_model.flow.flownet2 import FlowNet2, FlowNet2C
from agss_model.flow.motion import DISFlow, FlowEstimator, NoFlow, warp

__all__ = ["FLOW_NAMES", "DISFlow", "FlowEstimator", "FlowNet2", "FlowNet2C", "NoFlow", "build_flow", "warp"]

FLOW_NAMES: Final = ("dis", "none", "flownet2c", "flownet2")


def build_flow(
    name: str,
    *,
    preset: str | None = None,
    scale: float | None = None,
    state_dict: Mapping[str, Tensor] | None = None,
) -> FlowEstimator:
    """Build a flow estimator by name.

    Args:
        name: "dis", "none", "flownet2c" or "flownet2".
        preset: of "dis" only, see `DISFlow`; its default when None.
        scale: of "dis" only, see `DISFlow`; its default when None.
        state_dict: of "flownet2c" and "flownet2" only: the weights, under the published names. They are needed; a
            network to be trained from scratch is built from its class directly.

    Returns:
        The estimator; the networks in evaluation mode, on the CPU, in float32.

    Raises:
        ConfigError: an unknown name, weights missing, or a setting that does not belong to the named estimator.
        WeightsError: weights of another network.
    """
    if name not in FLOW_NAMES:
        raise ConfigError(f"Unknown flow {name!r}: choose one of {', '.join(FLOW_NAMES)}.")
    search = {key: value for key, value in (("preset", preset), ("scale", scale)) if value is not None}
    if search and name != "dis":
        raise ConfigError(f"Flow {name!r} has no setting {', '.join(search)}: that belongs to 'dis'.")
    if name.startswith("flownet2"):
        return _with_weights(name, state_dict)
    if state_dict is not None:
        raise ConfigError(f"Flow {name!r} has no weights: leave them out, or choose 'flownet2c' or 'flownet2'.")
    return DISFlow(**search) if name == "dis" else NoFlow()  # type: ignore[arg-type]


def _with_weights(name: str, state_dict: Mapping[str, Tensor] | None) -> FlowEstimator:
    if state_dict is None:
        raise ConfigError(
            f"Flow {name!r} needs trained weights, and none ship with this package: "
            "import a published checkpoint with `agss weights import FILE` first, or use the flow 'dis'."
        )
    network = FlowNet2C() if name == "flownet2c" else FlowNet2()
    try:
        network.load_state_dict(state_dict)
    except RuntimeError as error:
        raise WeightsError(f"These weights do not fit the flow network {name!r}: {error}") from error
    return network.eval()
