"""Attention-guided decoder of `lite`: from attended features at 1/8 to one logit for each object at 1/4."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.network.lite.layers import Residual, conv, conv_to_one, upsample2_in_zeros


class Decoder(nn.Module):
    """Two refinements and a prediction, as narrow as the widths say."""

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
