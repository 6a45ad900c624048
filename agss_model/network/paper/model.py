"""The published AGSS-VOS network, composed of its modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agss_model.config import AgssConfig
from agss_model.network.aggregation import union
from agss_model.network.base import AGSSVOS, Features, Reference
from agss_model.network.paper.agnostic import AgnosticFeatures, AgnosticModule
from agss_model.network.paper.decoder import Decoder, compete
from agss_model.network.paper.encoder import REDUCTION, Encoder
from agss_model.network.paper.instance import InstanceModule, resize_masks

PIXELS_AT_ONCE = 4 * 854 * 480  # of all object masks that are decoded together outside training: bounds the memory


class PaperAGSSVOS(AGSSVOS):
    """AGSS-VOS with ResNet-50, as published; an imported checkpoint gives the authors' numbers.

    Where the paper says nothing:

    - Several references: their features (r5) are averaged, so that the cost does not grow with their number. With
      one reference this is the published computation.
    - `use_agnostic` off: the attention feature itself takes the place of the product in equation 3; references play no
      part then.
    - `use_specific` off: the agnostic feature is multiplied with the warped mask at 1/8, and the decoder's visual
      feature is the one the agnostic pass computed under the union of the masks, the same for all objects.
    - Switched-off modules keep their parameters, so one file of weights serves every ablation.

    The layers need sides that are multiples of 32. With `published_grid` the stride is 64, because the published code
    rounds to that.
    """

    def __init__(self, config: AgssConfig) -> None:
        super().__init__(config)
        self.stride = 64 if config.published_grid else REDUCTION
        self.encoder = Encoder()
        self.agnostic = AgnosticModule()
        self.instance = InstanceModule()
        self.decoder = Decoder()

    def encode(self, image: Tensor) -> Features:
        """The image's part of the stem, shared by the agnostic pass and every object.

        Raises:
            MediaError: a side is not a multiple of 32.
        """
        image = self.encoder.normalise(image)
        return Features(image, (self.encoder.look(image),))

    def remember(self, features: Features, masks: Tensor) -> Reference:
        """The frame under the union of its masks (equation 1); nothing is kept of single objects."""
        batch, count, height, width = masks.shape
        size = (height // REDUCTION, width // REDUCTION)
        if self.config.use_agnostic:
            key = self.encoder(features.levels[0], union(masks)).r5
        else:
            key = masks.new_zeros(batch, 0, *size)
        return Reference(key, masks.new_zeros(batch, count, 0, *size), masks.new_ones(batch, count, dtype=torch.bool))

    def segment(
        self,
        features: Features,
        references: Sequence[Reference],
        previous: Reference | None,
        warped: Tensor,
        valid: Tensor | None = None,
        within: Tensor | None = None,
    ) -> Tensor:
        """One agnostic pass, then all objects; outside training a few objects at a time.

        Everything the frame before has to say is in `warped`, which is empty where `valid` is False; `previous` is not
        looked at.
        """
        (shared,) = features.levels
        agnostic = None
        if self.config.use_agnostic:
            reference = torch.stack([entry.key for entry in references]).mean(0)
            agnostic = self.agnostic(self.encoder, shared, union(warped), reference)
        batch, count, height, width = warped.shape
        at_once = count if self.training else max(1, PIXELS_AT_ONCE // (batch * height * width))
        parts = [warped[:, start : start + at_once] for start in range(0, count, at_once)]
        foreground = torch.cat([self._objects(shared, agnostic, part) for part in parts], 1)
        return compete(foreground, valid, normalised=self.config.use_normalisation)

    def _objects(self, shared: Tensor, agnostic: AgnosticFeatures | None, masks: Tensor) -> Tensor:
        """Each object's probability before the objects compete, (B, K, H, W) like `masks`."""
        objects = masks.shape[:2]
        if self.config.use_specific or agnostic is None:
            visual, guide = self.instance(self.encoder, shared, masks)
        else:
            visual = agnostic.visual.repeat_interleave(objects[1], 0)
            guide = resize_masks(masks, agnostic.feature.shape[-2:])
        if agnostic is not None:  # equation 3
            guide = (agnostic.feature.unsqueeze(1) * guide.unflatten(0, objects)).flatten(0, 1)
        out: Tensor = self.decoder(visual, guide).unflatten(0, objects)
        return out
