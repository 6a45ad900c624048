"""What every flow estimator of this package promises, and the estimator that sees no motion."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from agss_model.errors import ConfigError


class FlowEstimator(Protocol):
    """Backward optical flow between two frames: where each pixel of the target frame was in the source frame."""

    def __call__(self, target: Tensor, source: Tensor) -> Tensor:
        """Estimate the flow from the target frame t to the source frame t-1.

        Args:
            target: (B, 3, H, W) float32 RGB in [0, 1], frame t. Any size from 1x1.
            source: (B, 3, H, W) float32 RGB in [0, 1], frame t-1.

        Returns:
            (B, 2, H, W) float32 in pixels, x then y, on the device of the input: target pixel (x, y) is found in the
            source at (x + u, y + v).

        Raises:
            ConfigError: the frames are not two RGB batches of one shape.
        """
        ...


def check_frames(target: Tensor, source: Tensor) -> None:
    """Refuse a pair of frames that no estimator can work on.

    Args:
        target: expected (B, 3, H, W) floating point.
        source: expected the same shape and type as `target`.

    Raises:
        ConfigError: the shapes differ, a frame has no pixels or not three channels, or holds integers.
    """
    if target.shape != source.shape:
        raise ConfigError(
            f"Flow needs two frames of one shape, got {tuple(target.shape)} and {tuple(source.shape)}: "
            "resize one frame to the other's size."
        )
    if target.ndim != 4 or target.shape[1] != 3 or 0 in target.shape:
        raise ConfigError(f"Flow needs frames (B, 3, H, W) with at least one pixel, got shape {tuple(target.shape)}.")
    if not (target.is_floating_point() and source.is_floating_point()):
        raise ConfigError(
            f"Flow needs floating-point frames in [0, 1], got {target.dtype} and {source.dtype}: divide bytes by 255."
        )


class NoFlow:
    """The estimator that sees no motion: masks stay where they were (the 'no flow' row of the paper's Table 4)."""

    def __call__(self, target: Tensor, source: Tensor) -> Tensor:
        """Return a flow of zeros, (B, 2, H, W), for the frames described at `FlowEstimator`."""
        check_frames(target, source)
        batch, _, height, width = target.shape
        return target.new_zeros((batch, 2, height, width))
