"""Instance-specific module of `lite`: from an object's own evidence to the attention of equation 3.

The paper runs the stem and the first stage of the encoder again for each object. Here an object brings only its
evidence, at 1/16 with 16 positions a cell, and a few narrow layers turn it into attention on the shared features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.network.lite.agnostic import EVIDENCE_CELLS
from agss_model.network.lite.layers import Residual, conv, upsample2_in_zeros


class InstanceModule(nn.Module):
    """Attention generator, three layers deep at 1/16 and one at 1/8; no activation at its end, as in the paper."""

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
