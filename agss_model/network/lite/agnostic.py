"""Instance-agnostic module of `lite`: one feature for all objects, from the target, the memory and the union masks.

The paper compares reference and target by a global convolution at 1/32; here the reference has been read by attention
(`agss_model.network.attention`), and what was read enters as evidence for "some object", by equations 1 and 2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.config import AgssConfig
from agss_model.network.lite.efficientnet import CHANNELS
from agss_model.network.lite.layers import Residual, conv, upsample2

EVIDENCE_CELLS = 16  # 4 x 4 positions at 1/4 inside a cell at 1/16


def sources(config: AgssConfig) -> int:
    """How many say where an object is: memory, frame before, warped mask, and the target model where there is one."""
    return 4 if config.use_target else 3


class AgnosticModule(nn.Module):
    """Shared features at 1/16, 1/8 and 1/4, computed once per frame however many objects there are."""

    def __init__(self, width: tuple[int, int, int], sources: int) -> None:
        super().__init__()
        coarse, middle, fine = width
        self.enter = conv(CHANNELS[16] + sources * EVIDENCE_CELLS + 1, coarse + 32)
        self.refine = Residual(coarse + 32)
        self.leave = conv(coarse + 32, coarse)
        self.to_middle = conv(coarse + 32, middle, 1)
        self.skip_middle = conv(CHANNELS[8], middle)
        self.refine_middle = Residual(middle)
        self.skip_fine = conv(CHANNELS[4], fine)

    def forward(self, levels: tuple[Tensor, ...], union: Tensor, match: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix what the target shows with where some object is expected.

        Args:
            levels: (B, 24, H/4, W/4), (B, 40, H/8, W/8), (B, 112, H/16, W/16).
            union: (B, S * 16, H/16, W/16) evidence of each source, the maximum over the objects.
            match: (B, 1, H/16, W/16) cosine of the best match in the memory.

        Returns:
            (B, coarse, H/16, W/16), (B, middle, H/8, W/8), (B, fine, H/4, W/4).
        """
        x = self.refine(self.enter(torch.cat([levels[2], union, match], 1)))
        middle = self.refine_middle(upsample2(self.to_middle(F.relu(x))) + self.skip_middle(levels[1]))
        return self.leave(F.relu(x)), middle, self.skip_fine(levels[0])
