"""Motion between two frames: what every flow estimator promises, those without weights, and masks moved along a flow.

Learned estimators are in `agss_model.flow.flownet2`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
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


PRESETS: Final = MappingProxyType(
    {
        "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
        "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
        "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
    }
)
MIN_SIDE: Final = 16
"""Shortest side, in pixels, that the search runs on; OpenCV refuses frames with a side below 12."""


class DISFlow:
    """Flow by OpenCV's dense inverse search (DIS), the default: fast on a CPU and without weights.

    The search runs on grey frames, on request on a smaller copy whose flow is enlarged.

    Follows the protocol `FlowEstimator`. The result depends on the two frames only, not on earlier calls; the OpenCV
    object and its buffers are kept, so an instance serves one thread at a time. No gradient flows through it. Frames
    with a side under `MIN_SIDE` show too little to search in and get a flow of zeros.

    How the defaults were chosen. The first masks of ten DAVIS-2016 validation sequences were warped along the flow, and
    nothing else, through their first 40 frames; J is the mean overlap, first and last frame left out. Beside it,
    milliseconds per frame of 854x480, from tensor to tensor, on one / two threads of a shared two-core machine, the
    best of 30 calls (OpenCV 5.0, torch 2.13). Masks that stay where they were (no flow) have J 0.333.

        preset       scale 1.0            0.75                 0.5                 0.35                0.25
        ultrafast    0.520  11.2 /  9.7   0.499  12.7 / 10.7   0.478   5.9 / 4.5   0.447   8.1 / 6.9   0.410   6.8 / 5.4
        fast         0.478  15.1 / 13.1   0.456  15.1 / -      0.425   7.1 / -     0.392   9.0 / -     0.351   7.0 / -
        medium       0.511  47.2 / -      0.498  33.4 / -      0.482  15.8 / -     0.457  20.7 / -     0.427  10.1 / -

    "ultrafast" leaves out the smoothing that blurs motion across the edges of objects, so it carries masks better than
    "fast" as well as sooner, and at full size it has the best J of all. Half size saves 5 ms for 0.04 of J. A dash is a
    time that other work on the machine disturbed.
    """

    def __init__(self, preset: str = "ultrafast", scale: float = 1.0) -> None:
        """Choose speed against sharpness.

        Args:
            preset: "ultrafast", "fast" or "medium", OpenCV's settings of the search.
            scale: size of the frames the search runs on, relative to the given ones, in (0, 1].

        Raises:
            ConfigError: an unknown preset, or a scale outside its range.
        """
        if preset not in PRESETS:
            raise ConfigError(f"Unknown DIS preset {preset!r}: choose one of {', '.join(PRESETS)}.")
        if not 0 < scale <= 1:
            raise ConfigError(f"The scale of DIS flow must be above 0 and at most 1, got {scale}.")
        self.preset = preset
        self.scale = scale
        self._search = cv2.DISOpticalFlow_create(PRESETS[preset])  # type: ignore[attr-defined]
        self._finest = self._search.getFinestScale()

    def __call__(self, target: Tensor, source: Tensor) -> Tensor:
        """Estimate the flow from `target` to `source`; shapes, ranges and errors as in `FlowEstimator`."""
        check_frames(target, source)
        height, width = target.shape[2:]
        if min(height, width) < MIN_SIDE:
            return target.new_zeros((len(target), 2, height, width))
        pairs = zip(self._grey(target), self._grey(source), strict=True)
        flows = [self._enlarge(self._run(ours, theirs), height, width) for ours, theirs in pairs]
        return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).contiguous().to(target.device)

    def _grey(self, frames: Tensor) -> list[npt.NDArray[np.uint8]]:
        """Turn (B, 3, H, W) RGB in [0, 1] into B grey (h, w) uint8 frames of the working size."""
        height, width = (max(MIN_SIDE, round(side * self.scale)) for side in frames.shape[2:])
        pixels = (frames.detach() * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        small = (cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in pixels)
        return [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in small]

    def _run(self, ours: npt.NDArray[np.uint8], theirs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Search with a finest pyramid level that the frame can hold.

        Where the preset's level is too coarse for the frame, OpenCV picks levels by the width alone: in wide, low
        frames patches then lie outside the image and the process crashes, and the levels stay changed for later calls.
        The condition is OpenCV's own for leaving the level alone: at level L the shorter side holds a patch of 8, and
        the longer side is at least 32 * 2 ** (L - 1/2), squared here to stay in whole numbers.
        """
        short, long = sorted(ours.shape)
        level = self._finest
        while level > 0 and (short < 8 << level or long * long < 512 << 2 * level):
            level -= 1
        self._search.setFinestScale(level)
        return np.asarray(self._search.calc(ours, theirs, None), np.float32)

    @staticmethod
    def _enlarge(flow: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
        """Bring an (h, w, 2) flow to (height, width, 2), its vectors to pixels of that size."""
        factors = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        large = cv2.resize(flow * factors, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(large, np.float32)


def reduced(flow: Tensor, stride: int) -> Tensor:
    """(B, 2, H, W) flow in pixels -> (B, 2, H / stride, W / stride), in pixels of that size."""
    return F.avg_pool2d(flow, stride) / stride if stride > 1 else flow


def moved(masks: Tensor, flow: Tensor, stride: int, published_grid: bool = False) -> Tensor:
    """Bring masks along a flow.

    Args:
        masks: (N, h, w) float32 in [0, 1], as carried, of the source frame.
        flow: (1, 2, h * stride, w * stride) in pixels, from the target frame to the source frame.
        stride: of the masks.
        published_grid: as for `warp`.

    Returns:
        (N, h, w) float32 in [0, 1], as seen from the target frame.
    """
    return warp(masks[None], reduced(flow, stride), published_grid)[0].clamp(0, 1)


def warp(image: Tensor, flow: Tensor, published_grid: bool = False) -> Tensor:
    """Sample an image at the positions a backward flow points to, bilinearly, with zeros outside the frame.

    Gradients reach both the image and the flow.

    Border rule of the default mode. A pixel is a square of side one around its centre, so the frame reaches half a
    pixel beyond the outermost centres. A position up to half a pixel beyond them still lies on the frame and takes the
    border pixel's value; from there the value falls linearly and is 0 at one pixel, where nothing of the frame is left.
    Plain zero padding starts to fall at the centre itself, so a mask that touches the border loses a part of its
    outermost row at every sub-pixel motion, frame after frame. At whole-pixel positions both rules agree, and both are
    continuous in the flow.

    Args:
        image: (B, C, H, W) floating point, any range: masks or colours of frame t-1.
        flow: (B, 2, H, W) in pixels, x then y, of the same type; a batch of one serves every image of the batch.
        published_grid: reproduce the authors' sampling grid, which shrinks positions towards the first row and column
            by (W - 1) / W and (H - 1) / H, with plain zero padding. Only for equality with their numbers.

    Returns:
        (B, C, H, W), the image as seen from frame t. A zero flow returns the image itself, a whole-pixel flow moves it
        without any rounding (both in the default mode only).

    Raises:
        ConfigError: the shapes do not fit each other.
    """
    _check(image, flow)
    # Images that share one flow become channels of one image: their sampling positions are worked out once.
    stacked = image.flatten(0, 1)[None] if len(flow) == 1 else image
    warped = _warp_published(stacked, flow) if published_grid else _warp(stacked, flow)
    return warped.view_as(image)


def _check(image: Tensor, flow: Tensor) -> None:
    fits = (
        image.ndim == 4
        and flow.ndim == 4
        and flow.shape[1] == 2
        and flow.shape[0] in (1, image.shape[0])
        and flow.shape[2:] == image.shape[2:]
    )
    if not fits:
        raise ConfigError(
            f"Warping needs an image (B, C, H, W) and a flow (B, 2, H, W) or (1, 2, H, W), "
            f"got {tuple(image.shape)} and {tuple(flow.shape)}."
        )


def _warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample at pixel centres with the border rule of `warp`.

    `grid_sample` wants positions in [-1, 1], and scaling to there and back rounds them: a mask of 854 columns would not
    come back unchanged from a zero flow. With a power of two as the size that scaling is exact, hence the padding.
    """
    height, width = image.shape[2:]
    x, inside_x = _positions(flow[:, 0], _ramp(flow, width).view(1, 1, -1), width)
    y, inside_y = _positions(flow[:, 1], _ramp(flow, height).view(1, -1, 1), height)
    wide, high = _power_of_two(width), _power_of_two(height)
    padded = F.pad(image, [0, wide - width, 0, high - height])
    grid = torch.stack(((2 * x + 1) / wide - 1, (2 * y + 1) / high - 1), dim=-1)
    sampled = F.grid_sample(padded, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled * (inside_x * inside_y)[:, None]


def _ramp(flow: Tensor, length: int) -> Tensor:
    return torch.arange(length, device=flow.device, dtype=flow.dtype)


def _power_of_two(length: int) -> int:
    return 1 << (length - 1).bit_length()


def _positions(shift: Tensor, centres: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Find where to sample along one axis, and how much of the frame is left there.

    Args:
        shift: (B, H, W) flow along this axis, in pixels.
        centres: the unshifted positions along this axis, ready to broadcast with `shift`.
        length: number of pixels along this axis.

    Returns:
        Positions (B, H, W) moved into [0, length - 1], and weights (B, H, W) in [0, 1].
    """
    position = centres + shift
    last = length - 1
    beyond = torch.maximum(-position, position - last)
    # Not a clamp, which lets the gradient at the last centre itself through: it would see the padding.
    inside = torch.where(position < last, position.clamp(min=0), last)
    return inside, (2 - 2 * beyond).clamp(0, 1)


def _warp_published(image: Tensor, flow: Tensor) -> Tensor:
    """Sample on the authors' grid: pixel x at (x - W/2) / (W/2), read with -1 and 1 as the outermost pixel centres."""
    height, width = image.shape[2:]
    x = _ramp(flow, width).view(1, 1, -1) + flow[:, 0]
    y = _ramp(flow, height).view(1, -1, 1) + flow[:, 1]
    grid = torch.stack(((x - width / 2) / (width / 2), (y - height / 2) / (height / 2)), dim=-1)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
