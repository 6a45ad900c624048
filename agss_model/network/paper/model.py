"""The published AGSS-VOS network, composed of its modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agss_model.config import AgssConfig
from agss_model.network.base import AGSSVOS, Features, Question, Reference
from agss_model.network.equations import compete, union
from agss_model.network.paper.agnostic import AgnosticFeatures, AgnosticModule
from agss_model.network.paper.decoder import Decoder
from agss_model.network.paper.encoder import REDUCTION, Encoder
from agss_model.network.paper.instance import InstanceModule, resize_masks
from agss_model.network.paper.windows import CELL, Window, batches, cut_out, windows

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

    Outside training each object of a clip is computed only around its warped mask (`agss_model.network.paper.windows`),
    where the result equals the one computed everywhere; elsewhere it is 0, which the published network only nearly is.
    With `windows` off or `published_grid` on, objects are computed everywhere, as published.

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

    def remember(self, features: Features, masks: Tensor, *, lasting: bool = True) -> Reference:
        """The frame under the union of its masks (equation 1); nothing is kept of single objects."""
        batch, count, height, width = masks.shape
        size = (height // REDUCTION, width // REDUCTION)
        if self.config.use_agnostic:
            key = self.encoder(features.levels[0], union(masks)).r5
        else:
            key = masks.new_zeros(batch, 0, *size)
        return Reference(key, masks.new_zeros(batch, count, 0, *size), masks.new_ones(batch, count, dtype=torch.bool))

    def segment(self, features: Features, asked: Question) -> Tensor:
        """One agnostic pass, then all objects; outside training a few objects at a time.

        Everything the frame before has to say is in `warped`, which is empty where `valid` is False; `previous` is not
        looked at.
        """
        warped = asked.warped
        (shared,) = features.levels
        agnostic = None
        if self.config.use_agnostic:
            reference = torch.stack([entry.key for entry in asked.references]).mean(0)
            agnostic = self.agnostic(self.encoder, shared, union(warped), reference)
        if self._sparse(warped):
            foreground = self._near(shared, agnostic, warped[0])[None]
        else:
            batch, count, height, width = warped.shape
            at_once = count if self.training else max(1, PIXELS_AT_ONCE // (batch * height * width))
            parts = [warped[:, start : start + at_once] for start in range(0, count, at_once)]
            foreground = torch.cat([self._objects(shared, agnostic, part) for part in parts], 1)
        return compete(foreground, asked.valid, normalised=self.config.use_normalisation)

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

    def _sparse(self, warped: Tensor) -> bool:
        return self.config.windows and not (self.config.published_grid or self.training) and len(warped) == 1

    def _near(self, shared: Tensor, agnostic: AgnosticFeatures | None, masks: Tensor) -> Tensor:
        """`_objects` of one clip, (N, H, W) like `masks`, each object only where it can be and 0 elsewhere."""
        foreground = torch.zeros_like(masks)
        size = (masks.shape[1] // 4, masks.shape[2] // 4)
        places = resize_masks(masks[None], size if self.config.use_specific else (size[0] // 2, size[1] // 2))
        found = windows(masks, self.config.evidence_threshold)
        for group in batches(found, PIXELS_AT_ONCE // CELL**2):
            values = self._window(shared[0], agnostic, masks, places, group)
            for window, value in zip(group, values, strict=True):
                inner = window.core.within(window.fine)
                window.core.cut(foreground[window.slot], 1).copy_(inner.cut(value, 1))
        return foreground

    def _window(
        self,
        shared: Tensor,
        agnostic: AgnosticFeatures | None,
        masks: Tensor,
        places: Tensor,
        group: Sequence[Window],
    ) -> Tensor:
        """What `_objects` gives in the `fine` boxes of windows of one size, right in their cores.

        Args:
            shared: (64, H/2, W/2).
            agnostic: of this one clip.
            masks: (N, H, W) float in [0, 1].
            places: (N, 1, H/4, W/4), or at 1/8 without the instance module, the masks at the size of the features.
            group: M windows of one size.

        Returns:
            (M, h, w).
        """
        slots, fine = [w.slot for w in group], [w.fine for w in group]
        if self.config.use_specific or agnostic is None:
            with self.clock.measure("specific"):
                own = self.encoder.conv1_p(cut_out((masks[s, None] for s in slots), (w.stem for w in group), 1))
                own = cut_out(own, (w.outer.within(w.stem) for w in group), 2)
                visual = self.encoder.first_stage(own + cut_out([shared] * len(group), (w.outer for w in group), 2))
                visual = cut_out(visual, (w.fine.within(w.outer) for w in group), 4)
                visual, guide = self.instance.attend(visual, cut_out((places[s] for s in slots), fine, 4))
        else:
            visual = cut_out([agnostic.visual[0]] * len(group), fine, 4)
            guide = cut_out((places[s] for s in slots), fine, 8)
        if agnostic is not None:  # equation 3
            guide = guide * cut_out([agnostic.feature[0]] * len(group), fine, 8)
        out: Tensor = self.decoder(visual, guide)
        return out
