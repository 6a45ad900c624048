"""EfficientNet-Lite without batch normalisation, which `agss_model.weights.imagenet` folds into the convolutions.

ReLU6, no squeeze-and-excitation, TensorFlow's "SAME" padding, which is asymmetric at stride 2.
"""

from __future__ import annotations

from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.config import Encoder

# (kernel, stride, expansion) of each stage; those at 1/32 are not built: nothing reads them.
STAGES = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6))
SIZES: dict[Encoder, tuple[tuple[int, int], ...]] = {
    "efficientnet-lite0": ((1, 16), (2, 24), (2, 40), (3, 80), (3, 112)),
    "efficientnet-lite2": ((1, 16), (3, 24), (3, 48), (4, 88), (4, 120)),
}
"""(repeats, channels) of each stage."""
LEVELS = (1, 2, 4)
"""The last stages at 1/4, 1/8 and 1/16."""


class SameConv(nn.Conv2d):
    """Convolution whose output has ceil(side / stride) pixels, padded as TensorFlow does.

    For even sides at stride 2 the padding is smaller by one at the top and left.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, dilation=dilation)
        total = dilation * (kernel - 1) + 1 - stride
        self.before, self.after = total // 2, total - total // 2
        if self.before == self.after:
            self.padding = (self.before, self.before)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        if self.before != self.after:
            x = F.pad(x, (self.before, self.after, self.before, self.after))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel, project by 1x1; added to the input where the shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int, expansion: int, dilation: int = 1
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = SameConv(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride=stride, groups=hidden, dilation=dilation)
        self.project = SameConv(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        y: Tensor = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(self.depthwise(y), inplace=True))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """Features at 1/4, 1/8 and 1/16.

    Args:
        name: one of `SIZES`.
        output_stride: 16, or 8 to replace the last stride by dilation, so that the last map is twice as fine.

    Attributes:
        channels: of the three features.
    """

    channels: tuple[int, int, int]

    def __init__(self, name: Encoder = "efficientnet-lite0", output_stride: int = 16) -> None:
        super().__init__()
        sizes = SIZES[name]
        fine, middle, coarse = LEVELS
        self.channels = sizes[fine][1], sizes[middle][1], sizes[coarse][1]
        ends = list(accumulate(repeats for repeats, _ in sizes))
        self._kept = {ends[level] - 1 for level in LEVELS}
        self.stem = SameConv(3, 32, 3, stride=2)
        blocks: list[nn.Module] = []
        inputs, reached, dilation = 32, 2, 1
        for (kernel, stage_stride, expansion), (repeats, outputs) in zip(STAGES, sizes, strict=True):
            for repeat in range(repeats):
                stride = stage_stride if repeat == 0 else 1
                if reached * stride > output_stride:
                    stride, dilation_after = 1, 2
                else:
                    dilation_after = dilation
                blocks.append(
                    InvertedResidual(inputs, outputs, kernel, stride=stride, expansion=expansion, dilation=dilation)
                )
                reached, inputs, dilation = reached * stride, outputs, dilation_after
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at an image.

        Args:
            image: (B, 3, H, W) float32, (RGB in 0..255 - 127) / 128.

        Returns:
            (B, C4, H/4, W/4), (B, C8, H/8, W/8) and (B, C16, H/16, W/16) with `channels`; the last at 1/8 when dilated.
        """
        frozen = self._frozen() if torch.is_grad_enabled() and image.device.type == "cpu" else -1
        if frozen < 0:
            _, kept = self._run(F.relu6(self.stem(image), inplace=True), 0, len(self.blocks))
        else:  # picture by picture: the largest maps stay in the cache
            with torch.no_grad():
                begun = [self._run(F.relu6(self.stem(one), inplace=True), 0, frozen) for one in torch.split(image, 1)]
            ends, early = zip(*begun, strict=True)
            _, late = self._run(torch.cat(ends), frozen, len(self.blocks))
            kept = [torch.cat(level) for level in zip(*early, strict=True)] + late
        return kept[0], kept[1], kept[2]

    def _run(self, x: Tensor, start: int, stop: int) -> tuple[Tensor, list[Tensor]]:
        """What some of the blocks make of a map, and what is kept of it on the way."""
        kept = []
        for index in range(start, stop):
            x = self.blocks[index](x)
            if index in self._kept:
                kept.append(x)
        return x, kept

    def _frozen(self) -> int:
        """How many blocks from the first on, after the stem, are not trained; -1 where the stem is."""
        trained = [any(p.requires_grad for p in block.parameters()) for block in (self.stem, *self.blocks)]
        return (trained.index(True) if True in trained else len(trained)) - 1
