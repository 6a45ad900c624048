"""RGMP (CVPR 2018), the baseline the paper compares with: the same parts, one object per pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agss_model.config import AgssConfig
from agss_model.network.base import AGSSVOS, Features, Question, Reference
from agss_model.network.equations import compete
from agss_model.network.paper.agnostic import WIDTH, AgnosticModule, conv3
from agss_model.network.paper.decoder import Decoder
from agss_model.network.paper.encoder import REDUCTION, Encoder


class RGMP(AGSSVOS):
    """Encodes, compares and decodes every object on its own, from the image on.

    The loop over the objects and the repeated look at the image are there on purpose: they are the cost that
    AGSS-VOS saves. `warped` is meant to be the previous mask where it was (flow `none`), as in RGMP. Objects compete by
    equations 4 and 5, as in AGSS-VOS.

    Several references: an object's features are averaged over those that know it. Published checkpoints also hold
    predictions at 1/8 to 1/32, which only the published training looks at; they are kept in `auxiliary`, without
    gradients, so that a checkpoint is imported completely.
    """

    stride = REDUCTION

    def __init__(self, config: AgssConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder()
        self.agnostic = AgnosticModule()
        self.decoder = Decoder()
        self.auxiliary = nn.ModuleDict({f"pred{level}": conv3(WIDTH, 2) for level in (3, 4, 5)})
        self.auxiliary.requires_grad_(False)

    def encode(self, image: Tensor) -> Features:
        """The normalised image; everything else is done once per object.

        Raises:
            MediaError: a side is not a multiple of 32.
        """
        return Features(self.encoder.normalise(image), ())

    def remember(self, features: Features, masks: Tensor, *, lasting: bool = True) -> Reference:
        """Each object's own r5 as value, (B, N, 2048, H/32, W/32); the key has no channels, as nothing is shared."""
        passes = []
        for n in range(masks.shape[1]):
            shared = self.encoder.look(features.image)
            passes.append(self.encoder(shared, masks[:, n : n + 1]).r5)
        value = torch.stack(passes, 1)
        known = torch.ones(masks.shape[:2], dtype=torch.bool, device=masks.device)
        return Reference(value[:, 0, :0], value, known)

    def segment(self, features: Features, asked: Question) -> Tensor:
        """As many passes as objects, then equation 4; `previous` is not looked at."""
        references, warped = asked.references, asked.warped
        known = torch.stack([entry.known for entry in references]).to(warped.dtype)
        weight = (known / known.sum(0).clamp_min(1))[..., None, None, None]
        reference = (weight * torch.stack([entry.value for entry in references])).sum(0)
        passes = []
        for n in range(warped.shape[1]):
            shared = self.encoder.look(features.image)
            found = self.agnostic(self.encoder, shared, warped[:, n : n + 1], reference[:, n])
            passes.append(self.decoder(found.visual, found.feature))
        foreground = torch.stack(passes, 1)
        return compete(foreground, asked.valid, normalised=self.config.use_normalisation)
