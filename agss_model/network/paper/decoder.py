"""Attention-guided decoder: from the feature extracted for one object to its mask."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from agss_model.network.paper.agnostic import WIDTH, Refinement, conv3


class Decoder(nn.Module):
    """Refinement to 1/4 and the prediction of background and foreground."""

    def __init__(self) -> None:
        super().__init__()
        self.RF2 = Refinement(256)
        self.pred2 = conv3(WIDTH, 2)

    def forward(self, visual: Tensor, extracted: Tensor) -> Tensor:
        """Decode M objects.

        Args:
            visual: (M, 256, H/4, W/4).
            extracted: (M, 256, H/8, W/8), the left side of equation 3.

        Returns:
            (M, H, W) float in [0, 1], each object's probability before the objects compete.
        """
        logits = self.pred2(functional.relu(self.RF2(visual, extracted)))
        logits = functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
        return logits.softmax(1)[:, 1]
