"""Labels carried by untrained ImageNet features: useful before any training, and the floor every training must leave.

Features of the encoder's last block at stride 8 are compared by cosine; each target cell averages the labels
of its most similar cells, anywhere in the references and nearby in the last frames.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from agss_model.config import AgssConfig
from agss_model.network.attention import inside_window, read
from agss_model.network.base import AGSSVOS, Features, Question, Reference
from agss_model.network.lite.efficientnet import EfficientNetLite


class PropagationAGSSVOS(AGSSVOS):
    """The memory read of `lite`, alone: no decoder, nothing learned beyond the encoder's ImageNet weights."""

    stride = 16
    mask_stride = 8

    def __init__(self, config: AgssConfig) -> None:
        super().__init__(config)
        self.encoder = EfficientNetLite(config.encoder, output_stride=8)

    def encode(self, image: Tensor) -> Features:
        """See `AGSSVOS.encode`; the key is the last feature at unit length, at 1/8."""
        scaled = (image * 255 - 127) / 128
        levels = self.encoder(scaled)
        return Features(scaled, levels, F.normalize(levels[2].float(), dim=1))

    def remember(self, features: Features, masks: Tensor, *, lasting: bool = True) -> Reference:
        """See `AGSSVOS.remember`; a value is the mask at 1/8."""
        if features.key is None:
            raise ValueError("These features have no key; they are not from this network.")
        known = torch.ones(masks.shape[:2], dtype=torch.bool, device=masks.device)
        return Reference(features.key, masks[:, :, None].float(), known)

    def segment(self, features: Features, asked: Question) -> Tensor:
        """See `AGSSVOS.segment`; the first reference is matched anywhere, the others within the window.

        `previous` is left out where it is among the references already. Each object's map is stretched to its own
        minimum and maximum, so that a faint but distinct object holds its ground against the background.
        """
        key = features.key
        if key is None:
            raise ValueError("These features have no key; they are not from this network.")
        window = inside_window(key.shape[-2], key.shape[-1], self.config.window, key.device)
        seen = list(asked.references)
        windows: list[Tensor | None] = [None] + [window] * (len(seen) - 1)
        value = read(key, seen, self.config.temperature, windows=windows, top_k=self.config.top_k).value[:, :, 0]
        low, high = value.amin((-2, -1), keepdim=True), value.amax((-2, -1), keepdim=True)
        stretched = (value - low) / (high - low).clamp_min(1e-6)
        background = 1 - value.sum(1, keepdim=True)
        lowest, highest = background.amin((-2, -1), keepdim=True), background.amax((-2, -1), keepdim=True)
        background = (background - lowest) / (highest - lowest).clamp_min(1e-6)
        total = stretched.sum(1, keepdim=True) + background
        out = stretched / total.clamp_min(1e-6)
        return out if asked.valid is None else out * asked.valid[:, :, None, None]
