"""The trained layers of `lite` behind the encoder: agnostic module, instance module, decoder, and small blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.config import AgssConfig

EVIDENCE_CELLS = 16  # 4 x 4 positions at 1/4 inside a cell at 1/16


def sources(config: AgssConfig) -> int:
    """How many say where an object is: memory, frame before, warped mask, and the target model where there is one."""
    return 4 if config.use_target else 3


def conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """Convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def conv_to_one(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """`layer(x)` of a 3x3 convolution to one channel, in a quarter of the time on a CPU.

    A convolution computes sixteen channels at a time there. This takes the nine products of every pixel in one matrix
    product and lays them over each other.
    """
    products = layer.weight[0].flip(1, 2).flatten(1).t() @ x.flatten(2)  # (B, 9, H * W)
    out: Tensor = F.fold(products, (x.shape[2], x.shape[3]), 3, padding=1)
    return out if layer.bias is None else out + layer.bias[:, None, None]


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), the refinement of the paper without its widths."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> the same shape.

        Args:
            x: zero outside of the mask.
            mask: (B, 1, H, W) or (1, 1, H, W) of zeros and ones; both layers see zeros outside of it.
        """
        # In place where nothing else needs the map: on a CPU the layers of an object wait for memory.
        inner = self.first(F.relu(x))
        if mask is not None:
            inner *= mask
        y: Tensor = self.second(F.relu(inner, inplace=True))
        y += x
        return y


def upsample2(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W), bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def upsample2_in_zeros(x: Tensor) -> Tensor:
    """`upsample2` of a map that goes on with zeros beyond its border."""
    return upsample2(F.pad(x, (1, 1, 1, 1)))[:, :, 2:-2, 2:-2]


class AgnosticModule(nn.Module):
    """Shared features at 1/16, 1/8 and 1/4, computed once per frame however many objects there are.

    The paper compares reference and target by a global convolution at 1/32; here the reference has been read by
    attention (`agss_model.network.attention`), and what was read enters as evidence for "some object", by equations 1
    and 2.
    """

    def __init__(self, width: tuple[int, int, int], sources: int, levels: tuple[int, int, int]) -> None:
        """Make the layers.

        Args:
            width: channels at 1/16, 1/8 and 1/4.
            sources: of evidence.
            levels: channels of the encoder's features at 1/4, 1/8 and 1/16.
        """
        super().__init__()
        coarse, middle, fine = width
        self.enter = conv(levels[2] + sources * EVIDENCE_CELLS + 1, coarse + 32)
        self.refine = Residual(coarse + 32)
        self.leave = conv(coarse + 32, coarse)
        self.to_middle = conv(coarse + 32, middle, 1)
        self.skip_middle = conv(levels[1], middle)
        self.refine_middle = Residual(middle)
        self.skip_fine = conv(levels[0], fine)

    def forward(self, levels: tuple[Tensor, ...], union: Tensor, match: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix what the target shows with where some object is expected.

        Args:
            levels: (B, C4, H/4, W/4), (B, C8, H/8, W/8), (B, C16, H/16, W/16) of the encoder.
            union: (B, S * 16, H/16, W/16) evidence of each source, the maximum over the objects.
            match: (B, 1, H/16, W/16) cosine of the best match in the memory.

        Returns:
            (B, coarse, H/16, W/16), (B, middle, H/8, W/8), (B, fine, H/4, W/4).
        """
        x = self.refine(self.enter(torch.cat([levels[2], union, match], 1)))
        middle = self.refine_middle(upsample2(self.to_middle(F.relu(x))) + self.skip_middle(levels[1]))
        return self.leave(F.relu(x)), middle, self.skip_fine(levels[0])


class InstanceModule(nn.Module):
    """From an object's own evidence to the attention of equation 3.

    The paper runs the stem and the first stage of the encoder again for each object. Here an object brings only its
    evidence, at 1/16 with 16 positions a cell, and a few narrow layers, three at 1/16 and one at 1/8, turn it into
    attention on the shared features; no activation at its end, as in the paper.
    """

    def __init__(self, width: tuple[int, int, int], sources: int) -> None:
        super().__init__()
        coarse, middle, _ = width
        self.enter = conv(sources * EVIDENCE_CELLS, coarse)
        self.first, self.second = Residual(coarse), Residual(coarse)
        self.to_middle = conv(coarse, middle, 1)
        self.attention = conv(middle + sources * EVIDENCE_CELLS // 4, middle)

    def context(self, evidence: Tensor, shared: Tensor | None, mask: Tensor) -> Tensor:
        """Layers at 1/16.

        Args:
            evidence: (M, sources * 16, h, w), 16 positions a cell.
            shared: (M, coarse, h, w) agnostic feature, or None without the agnostic module.
            mask: (M, 1, h, w) or (1, 1, h, w), 1 where the objects are computed, 0 elsewhere; the maps are zero there.

        Returns:
            (M, coarse, h, w).
        """
        x = self.enter(evidence)
        x = (x if shared is None else x + x * shared) * mask
        x = self.first(x, mask) * mask
        out: Tensor = self.second(x, mask)
        return out

    def attend(self, context: Tensor, evidence: Tensor, masks: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        """Layers at 1/8.

        Args:
            context: (M, coarse, h, w).
            evidence: (M, sources * 16, h, w), as `context` got it.
            masks: by scale, as in `agss_model.network.lite.canvas.Region`.

        Returns:
            (M, middle, 2h, 2w) attention and (M, middle, 2h, 2w) feature it was made from, which is zero outside.
        """
        narrow = self.to_middle(F.relu(context)) * masks[1]
        feature = upsample2_in_zeros(narrow) * masks[2]
        attention = self.attention(torch.cat([F.relu(feature), F.pixel_shuffle(evidence, 2)], 1))
        return attention, feature


class Decoder(nn.Module):
    """From attended features at 1/8 to one logit for each object at 1/4: two narrow refinements and a prediction."""

    def __init__(self, width: tuple[int, int, int], sources: int) -> None:
        super().__init__()
        _, middle, fine = width
        self.refine_middle = Residual(middle)
        self.to_fine = conv(middle, fine, 1)
        self.evidence_fine = conv(sources, fine)
        self.refine_fine = Residual(fine)
        self.predict = conv(fine, 1)

    def forward(self, attended: Tensor, evidence: Tensor | None, shared: Tensor, masks: dict[int, Tensor]) -> Tensor:
        """Predict an object's foreground.

        Args:
            attended: (B, middle, H/8, W/8) attention times agnostic feature (equation 3) plus the object's feature.
            evidence: (B, sources * 16, H/16, W/16) as the instance module got it, or None without that module.
            shared: (B, fine, H/4, W/4) visual feature of the target.
            masks: by scale, as in `agss_model.network.lite.canvas.Region`; evidence and shared are zero outside.

        Returns:
            (B, 1, H/4, W/4) logit of the foreground.
        """
        x = self.refine_middle(attended * masks[2], masks[2])
        x = upsample2_in_zeros(self.to_fine(F.relu(x)).mul_(masks[2])) + shared
        if evidence is not None:
            x += self.evidence_fine(F.pixel_shuffle(evidence, 4))
        x *= masks[4]
        x = self.refine_fine(x, masks[4])
        x *= masks[4]
        return conv_to_one(F.relu(x, inplace=True), self.predict)
