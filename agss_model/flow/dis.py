"""Dense inverse search (DIS) flow from OpenCV: the default, fast on a CPU and without weights.

How the defaults were chosen. The first masks of ten DAVIS-2016 validation sequences were warped along the flow, and
nothing else, through their first 40 frames; J is the mean overlap, first and last frame left out. Beside it,
milliseconds per frame of 854x480, from tensor to tensor, on one / two threads of a shared two-core machine, the best of
30 calls (OpenCV 5.0, torch 2.13). Masks that stay where they were (no flow) have J 0.333.

    preset       scale 1.0            0.75                 0.5                 0.35                0.25
    ultrafast    0.520  11.2 /  9.7   0.499  12.7 / 10.7   0.478   5.9 / 4.5   0.447   8.1 / 6.9   0.410   6.8 / 5.4
    fast         0.478  15.1 / 13.1   0.456  15.1 / -      0.425   7.1 / -     0.392   9.0 / -     0.351   7.0 / -
    medium       0.511  47.2 / -      0.498  33.4 / -      0.482  15.8 / -     0.457  20.7 / -     0.427  10.1 / -

"ultrafast" leaves out the smoothing that blurs motion across the edges of objects, so it carries masks better than
"fast" as well as sooner, and at full size it has the best J of all. Half size saves 5 ms for 0.04 of J. A dash is a
time that other work on the machine disturbed.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agss_model.errors import ConfigError
from agss_model.flow.base import check_frames

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
    """Flow by dense inverse search on grey frames, on request computed on a smaller copy and enlarged.

    Follows the protocol `FlowEstimator`. The result depends on the two frames only, not on earlier calls; the OpenCV
    object and its buffers are kept, so an instance serves one thread at a time. No gradient flows through it. Frames
    with a side under `MIN_SIDE` show too little to search in and get a flow of zeros.
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
