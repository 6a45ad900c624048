"""Checkpoints in the published format, with random weights, and the published computation written down once more.

Nothing here uses the package: names and shapes come from the description of the checkpoints, and the computation works
on the raw state dict with functions only.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SEG_PARAMETERS = 52_751_298
BLOCKS = {"res2": (3, 64), "res3": (4, 128), "res4": (6, 256), "res5": (3, 512)}


def _normalisation(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}


def _encoder() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "Encoder.conv1.weight": (64, 3, 7, 7),
        "Encoder.conv1_p.weight": (64, 1, 7, 7),
        "Encoder.conv1_p.bias": (64,),
        **_normalisation("Encoder.bn1", 64),
    }
    channels = 64
    for stage, (blocks, width) in BLOCKS.items():
        for block in range(blocks):
            name = f"Encoder.{stage}.{block}"
            for number, (inputs, outputs, side) in enumerate(
                ((channels, width, 1), (width, width, 3), (width, 4 * width, 1)), 1
            ):
                shapes[f"{name}.conv{number}.weight"] = (outputs, inputs, side, side)
                shapes |= _normalisation(f"{name}.bn{number}", outputs)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, channels, 1, 1)
                shapes |= _normalisation(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    return shapes


def _convolution(name: str, outputs: int, inputs: int, *sides: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs, *sides), f"{name}.bias": (outputs,)}


def _decoder() -> dict[str, tuple[int, ...]]:
    shapes = {
        **_convolution("Decoder.GC.conv_l1", 256, 4096, 7, 1),
        **_convolution("Decoder.GC.conv_l2", 256, 256, 1, 7),
        **_convolution("Decoder.GC.conv_r1", 256, 4096, 1, 7),
        **_convolution("Decoder.GC.conv_r2", 256, 256, 7, 1),
        **_convolution("Decoder.convG1", 256, 256, 3, 3),
        **_convolution("Decoder.convG2", 256, 256, 3, 3),
        **_convolution("Decoder.pred2", 2, 256, 3, 3),
    }
    for room, inputs in (("RF4", 1024), ("RF3", 512), ("RF2", 256)):
        shapes |= _convolution(f"Decoder.{room}.convFS1", 256, inputs, 3, 3)
        for inner in ("convFS2", "convFS3", "convMM1", "convMM2"):
            shapes |= _convolution(f"Decoder.{room}.{inner}", 256, 256, 3, 3)
    return shapes


def seg_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of `seg`, without the prefix `module.`."""
    return {
        **_encoder(),
        **_convolution("Encoder.atn.0", 256, 257, 1, 1),
        **_convolution("Encoder.atn.2", 256, 256, 3, 3),
        **_convolution("Encoder.atn.4", 256, 256, 3, 3),
        **_decoder(),
    }


def rgmp_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of RGMP's weights, without the prefix `module.` and without the constants."""
    heads = [_convolution(f"Decoder.pred{level}", 2, 256, 3, 3) for level in (3, 4, 5)]
    return {**_encoder(), **_decoder(), **heads[0], **heads[1], **heads[2]}


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Weights that keep probabilities in the range where a mistake shows, instead of saturating.

    Near 0 and 1 the odds of equation 4 magnify rounding (float32 against float64 differ by up to 8e-3 there, for any
    writing of the computation), so the prediction is scaled down.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            values = 0.5 + values.sigmoid()
            if ".bn3." in name and name.endswith("weight"):
                values *= 0.3
        elif len(shape) == 1:
            values *= 0.1
        else:
            scale = 1.4 if "Encoder" in name else 0.1 if ".pred" in name else 0.8
            values *= scale / values[0].numel() ** 0.5
        state[name] = values
    return state


class Published:
    """The published forward passes on a state dict without the prefix `module.`."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        padding = (weight.shape[2] // 2, weight.shape[3] // 2)
        return F.conv2d(x, weight, self.state.get(f"{name}.bias"), stride, padding)

    def norm(self, x: Tensor, name: str) -> Tensor:
        # The framework's own formula: another order of rounding would be magnified by the odds of sure objects.
        weight, bias, mean, var = (
            self.state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return F.batch_norm(x, mean, var, weight, bias, eps=1e-5)

    def stage(self, x: Tensor, name: str) -> Tensor:
        for block in range(BLOCKS[name][0]):
            inner = f"Encoder.{name}.{block}"
            stride = 2 if block == 0 and name != "res2" else 1
            y = self.norm(self.conv(x, f"{inner}.conv1"), f"{inner}.bn1").relu()
            y = self.norm(self.conv(y, f"{inner}.conv2", stride), f"{inner}.bn2").relu()
            y = self.norm(self.conv(y, f"{inner}.conv3"), f"{inner}.bn3")
            if block == 0:
                x = self.norm(self.conv(x, f"{inner}.downsample.0", stride), f"{inner}.downsample.1")
            x = (x + y).relu()
        return x

    def visual(self, image: Tensor, mask: Tensor) -> Tensor:
        """(1, 3, H, W) in [0, 1] and (1, 1, H, W) -> r2."""
        mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).to(image)
        std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1).to(image)
        x = self.conv((image - mean) / std, "Encoder.conv1", 2) + self.conv(mask, "Encoder.conv1_p", 2)
        x = F.max_pool2d(self.norm(x, "Encoder.bn1").relu(), 3, 2, 1)
        return self.stage(x, "res2")

    def encode(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        r2 = self.visual(image, mask)
        r3 = self.stage(r2, "res3")
        r4 = self.stage(r3, "res4")
        return self.stage(r4, "res5"), r4, r3, r2

    def refine(self, skip: Tensor, coarse: Tensor, name: str) -> Tensor:
        s = self.conv(skip, f"Decoder.{name}.convFS1")
        s = s + self.conv(self.conv(s.relu(), f"Decoder.{name}.convFS2").relu(), f"Decoder.{name}.convFS3")
        m = s + F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        return m + self.conv(self.conv(m.relu(), f"Decoder.{name}.convMM1").relu(), f"Decoder.{name}.convMM2")

    def shared_feature(self, image: Tensor, mask: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        r5, r4, r3, r2 = self.encode(image, mask)
        x = torch.cat([r5, reference], 1)
        left = self.conv(self.conv(x, "Decoder.GC.conv_l1"), "Decoder.GC.conv_l2")
        x = left + self.conv(self.conv(x, "Decoder.GC.conv_r1"), "Decoder.GC.conv_r2")
        x = x + self.conv(self.conv(x.relu(), "Decoder.convG1").relu(), "Decoder.convG2")
        return self.refine(r3, self.refine(r4, x, "RF4"), "RF3"), r2

    def predict(self, visual: Tensor, feature: Tensor) -> Tensor:
        logits = self.conv(self.refine(visual, feature, "RF2").relu(), "Decoder.pred2")
        return F.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False).softmax(1)[:, 1:]

    @staticmethod
    def aggregate(passes: list[Tensor]) -> Tensor:
        foreground = torch.cat(passes, 1)
        background = 1 - foreground.max(1, keepdim=True).values
        every = torch.cat([background, foreground], 1).clamp(1e-7, 1 - 1e-7)
        odds = every / (1 - every)
        return (odds / odds.sum(1, keepdim=True))[:, 1:]

    def agss(self, first: Tensor, first_masks: Tensor, image: Tensor, warped: Tensor) -> Tensor:
        """AGSS-VOS: (1, 3, H, W) and (1, N, H, W), reference and target -> (1, N, H, W)."""
        reference = self.encode(first, first_masks.max(1, keepdim=True).values)[0]
        shared, _ = self.shared_feature(image, warped.max(1, keepdim=True).values, reference)
        passes = []
        for mask in warped.split(1, 1):
            visual = self.visual(image, mask)
            small = F.interpolate(mask, size=visual.shape[-2:], mode="bilinear", align_corners=True)
            x = self.conv(torch.cat([visual, small], 1), "Encoder.atn.0").relu()
            attention = self.conv(self.conv(x, "Encoder.atn.2").relu(), "Encoder.atn.4", 2)
            passes.append(self.predict(visual, shared * attention))
        return self.aggregate(passes)

    def rgmp(self, first: Tensor, first_masks: Tensor, image: Tensor, previous: Tensor) -> Tensor:
        """RGMP: the same arguments, each object on its own."""
        passes = []
        for mask, first_mask in zip(previous.split(1, 1), first_masks.split(1, 1), strict=True):
            feature, visual = self.shared_feature(image, mask, self.encode(first, first_mask)[0])
            passes.append(self.predict(visual, feature))
        return self.aggregate(passes)
