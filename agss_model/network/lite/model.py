"""`lite`: the AGSS-VOS idea with a pretrained mobile encoder and a memory read by attention.

Where it departs from the published network, and why:

* The encoder sees the image only, so a frame is encoded once for matching, memory and decoding together; masks enter
  after it, as fractions at 1/4 laid into the cells at 1/16.
* The references (human frames, and a few confident frames since) are read by attention over 64-channel keys instead
  of a global convolution at 1/32. The frame before is read once more within a window, against look-alikes far away.
* The part that runs for each object is narrow (about 1.2 G multiply-accumulates at 864x480 against 94 G) and runs
  only where the object can be (`agss_model.network.lite.crops`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.config import AgssConfig
from agss_model.errors import ConfigError
from agss_model.network import aggregation
from agss_model.network.base import AGSSVOS, Features, Reference
from agss_model.network.lite.agnostic import EVIDENCE_CELLS, AgnosticModule
from agss_model.network.lite.crops import batches, stack, together, windows
from agss_model.network.lite.decoder import Decoder
from agss_model.network.lite.efficientnet import CHANNELS, EfficientNetLite0
from agss_model.network.lite.instance import InstanceModule
from agss_model.network.memory import inside_window, read

Shared = tuple[Tensor, Tensor, Tensor]
"""What the agnostic module gives: (B, C1, H/16, W/16), (B, C2, H/8, W/8), (B, C3, H/4, W/4)."""

NOWHERE = -12.0
"""Logit where an object cannot be; its probability of 6e-6 leaves the others alone."""


class LiteAGSSVOS(AGSSVOS):
    """AGSS-VOS on EfficientNet-Lite0 with an attention memory."""

    stride = 16
    mask_stride = 4
    reads_previous = True

    def __init__(self, config: AgssConfig) -> None:
        super().__init__(config)
        self.encoder = EfficientNetLite0()
        self.project_key = nn.Conv2d(CHANNELS[16], config.key_channels, 1)
        self.log_temperature = nn.Parameter(torch.tensor(float(config.temperature)).log())
        self.agnostic = AgnosticModule(config.width)
        self.instance = InstanceModule(config.width)
        self.decoder = Decoder(config.width)

    def encode(self, image: Tensor) -> Features:
        """See `AGSSVOS.encode`; the key has `config.key_channels` channels of unit length at 1/16."""
        scaled = (image * 255 - 127) / 128
        levels = self.encoder(scaled)
        return Features(scaled, levels, F.normalize(self.project_key(levels[2]).float(), dim=1))

    def remember(self, features: Features, masks: Tensor) -> Reference:
        """See `AGSSVOS.remember`; a value is the mask at 1/4, sixteen positions to a cell."""
        if features.key is None:
            raise ValueError("These features have no key; they are not from this network.")
        known = torch.ones(masks.shape[:2], dtype=torch.bool, device=masks.device)
        return Reference(features.key, F.pixel_unshuffle(masks[:, :, None].float(), 4), known)

    def compact(self, reference: Reference) -> Reference:
        """Keys in half precision and values in steps of 1/255: a quarter of the bytes, and no visible difference."""
        value = (reference.value * 255).round().to(torch.uint8)
        return Reference(reference.key.half(), value, reference.known)

    def segment(
        self,
        features: Features,
        references: Sequence[Reference],
        previous: Reference | None,
        warped: Tensor,
        valid: Tensor | None = None,
    ) -> Tensor:
        """See `AGSSVOS.segment`. In eval mode and for one clip, each object is computed only where it can be."""
        with self.clock.measure("agnostic"):
            evidence, union, match = self.gather(features, references, previous, warped)
            shared = self.agnostic(features.levels, union, match) if self.config.use_agnostic else None
        sparse = not self.training and self.config.windows and len(evidence) == 1
        logits = (self.decode_windows if sparse else self.decode)(features, shared, evidence)
        return self.finish(logits, valid)

    def gather(
        self, features: Features, references: Sequence[Reference], previous: Reference | None, warped: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Everything known about where the objects are, before looking at how the target frame looks.

        Returns:
            (B, N, 64, H/16, W/16) evidence of each object, (B, 48, H/16, W/16) its union over the objects and
            (B, 1, H/16, W/16) the cosine of the best match in the memory.
        """
        key = features.key
        if key is None:
            raise ValueError("These features have no key; they are not from this network.")
        temperature = self.log_temperature.exp().clamp(0.01, 1.0)
        everything = [*references, previous] if previous is not None else list(references)
        memory = read(key, everything, temperature, top_k=self.config.top_k)
        local = memory.value
        if previous is not None:
            window = inside_window(key.shape[-2], key.shape[-1], self.config.window, key.device)
            local = read(key, [previous], temperature, windows=[window]).value
        moved = F.pixel_unshuffle(warped[:, :, None].float(), 4)
        own = torch.stack([memory.value, local, moved], 2)  # (B, N, 3, 16, h, w)
        others = (own.sum(1, keepdim=True) - own)[:, :, ::2].mean(2).clamp_max(1)
        evidence = torch.cat([own.flatten(2, 3), others], 2)
        return evidence, own.amax(1).flatten(1, 2), memory.match

    def decode(self, features: Features, shared: Shared | None, evidence: Tensor) -> Tensor:
        """Logits of all objects, everywhere: what training uses and what the windows are compared with.

        Args:
            features: of the target.
            shared: what the agnostic module made of it, None without that module.
            evidence: (B, N, 64, H/16, W/16).

        Returns:
            (B, N, H/4, W/4) logits.
        """
        batch, objects = evidence.shape[:2]

        def each(x: Tensor) -> Tensor:
            """(B, C, h, w) -> (B * N, C, h, w)."""
            return x[:, None].expand(-1, objects, -1, -1, -1).flatten(0, 1)

        own = evidence.flatten(0, 1)
        context = self.instance.context(own, each(shared[0]) if shared else None) if self.config.use_specific else None
        logits = self._decode_fine(
            context, own, each(shared[1]) if shared else None, each(self._visual(features, shared))
        )
        return logits.reshape(batch, objects, *logits.shape[-2:])

    def decode_windows(self, features: Features, shared: Shared | None, evidence: Tensor) -> Tensor:
        """`decode` for one clip, each object only where it can be; logits elsewhere are `NOWHERE`."""
        _, objects, _, height, width = evidence.shape
        logits = evidence.new_full((1, objects, 4 * height, 4 * width), NOWHERE)
        own = evidence[0]
        occupied = own[:, : 3 * EVIDENCE_CELLS].amax(1) > self.config.evidence_threshold
        visual = self._visual(features, shared)
        for group in batches(windows(occupied)):
            coarse, fine = [w.coarse for w in group], [w.fine for w in group]
            slots = [w.slot for w in group]
            context = None
            if self.config.use_specific:
                with self.clock.measure("specific"):
                    near = together(box.cut(own[s]) for s, box in zip(slots, coarse, strict=True))
                    context = self.instance.context(near, stack(shared[0], coarse) if shared else None)
                    inner = [w.fine.within(w.coarse) for w in group]
                    context = together(box.cut(context[i]) for i, box in enumerate(inner))
            found = self._decode_fine(
                context,
                together(box.cut(own[s]) for s, box in zip(slots, fine, strict=True)),
                stack(shared[1], fine, 2) if shared else None,
                stack(visual, fine, 4),
            )
            for index, window in enumerate(group):
                core = window.core.within(window.fine)
                window.core.cut(logits[0, window.slot], 4).copy_(core.cut(found[index, 0], 4))
        return logits

    def _visual(self, features: Features, shared: Shared | None) -> Tensor:
        """(B, C3, H/4, W/4) feature of the target at 1/4; it needs no agnostic module."""
        if shared is not None:
            return shared[2]
        visual: Tensor = self.agnostic.skip_fine(features.levels[0])
        return visual

    def _decode_fine(self, context: Tensor | None, evidence: Tensor, middle: Tensor | None, visual: Tensor) -> Tensor:
        """From 1/16 to logits at 1/4, for any number of objects or windows.

        Args:
            context: (M, C1, h, w) of the instance module, None without it.
            evidence: (M, 64, h, w).
            middle: (M, C2, 2h, 2w) agnostic feature, None without that module.
            visual: (M, C3, 4h, 4w).

        Returns:
            (M, 1, 4h, 4w) logits.
        """
        if context is not None:
            with self.clock.measure("specific"):
                attention, feature = self.instance.attend(context, evidence)
                attended = feature + (attention if middle is None else attention * middle)  # equation 3
            with self.clock.measure("decoder"):
                out: Tensor = self.decoder(attended, evidence, visual)
                return out
        if middle is None:
            raise ConfigError("use_agnostic and use_specific cannot both be off: nothing is left to decode.")
        moved = F.pixel_shuffle(evidence[:, 2 * EVIDENCE_CELLS : 3 * EVIDENCE_CELLS], 2).mean(1, keepdim=True)
        with self.clock.measure("decoder"):
            alone: Tensor = self.decoder(middle * moved, None, visual)
            return alone

    def finish(self, logits: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, N, h, w) logits -> probabilities, normalised over background and objects if so configured."""
        logits = logits.float()
        if self.config.use_normalisation:
            return aggregation.normalise_logits(logits, valid)
        return logits.sigmoid() if valid is None else logits.sigmoid() * valid[:, :, None, None]
