"""`lite`: the AGSS-VOS idea with a pretrained mobile encoder and a memory read by attention.

Where it departs from the published network, and why:

* The encoder sees the image only, so a frame is encoded once for matching, memory and decoding together; masks enter
  after it, as fractions at 1/4 laid into the cells at 1/16.
* The references (human frames, and a few confident frames since) are read by attention over 64-channel keys instead
  of a global convolution at 1/32. The frame before is read once more within a window, against look-alikes far away.
* A linear model of each object is fitted to the same references (`agss_model.network.target`).
* The part that runs for each object is narrow (about 1.2 G multiply-accumulates at 864x480 against 94 G) and runs
  only where the object can be (`agss_model.network.lite.canvas`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agss_model.config import AgssConfig
from agss_model.errors import ConfigError
from agss_model.network import attention
from agss_model.network.base import AGSSVOS, Features, Likeness, Question, Reference, Sighting
from agss_model.network.equations import compete_logits, union
from agss_model.network.lite.canvas import Canvas, Region, WholeFrames, support
from agss_model.network.lite.efficientnet import EfficientNetLite
from agss_model.network.lite.modules import EVIDENCE_CELLS, AgnosticModule, Decoder, InstanceModule, sources
from agss_model.network.target import TargetModel

Shared = tuple[Tensor, Tensor, Tensor]
"""What the agnostic module gives: (B, C1, H/16, W/16), (B, C2, H/8, W/8), (B, C3, H/4, W/4)."""


class Evidence(NamedTuple):
    """Where the objects may be, before looking at how the target frame looks.

    Attributes:
        sources: (B, N, S, 16, H/16, W/16) of each object, from the memory, the frame before, the warped mask and the
            target model; S is `LiteAGSSVOS.sources`.
        objects: (B, N, (S + 1) * 16, H/16, W/16) the same, and what the other objects claim.
        match: (B, 1, H/16, W/16) cosine of the best match in the memory.
    """

    sources: Tensor
    objects: Tensor
    match: Tensor


class Runner(Protocol):
    """The layers of `LiteAGSSVOS`, run by something else than torch; see its methods of the same names."""

    def look(self, scaled: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `LiteAGSSVOS.look`."""
        ...

    def compare(self, levels: tuple[Tensor, ...], union: Tensor, match: Tensor) -> Shared:
        """See `LiteAGSSVOS.compare`."""
        ...

    def decide(self, own: Tensor, coarse: Tensor, middle: Tensor, visual: Tensor, masks: dict[int, Tensor]) -> Tensor:
        """See `LiteAGSSVOS.decide`; never without an agnostic feature."""
        ...


class LiteAGSSVOS(AGSSVOS):
    """AGSS-VOS on EfficientNet-Lite with an attention memory.

    Attributes:
        runner: what runs the layers outside of training, None for torch itself (`agss_model.engines`).
    """

    stride = 16
    mask_stride = 4
    reads_previous = True
    tells_resemblance = True
    runner: Runner | None = None

    def __init__(self, config: AgssConfig) -> None:
        super().__init__(config)
        self.encoder = EfficientNetLite(config.encoder)
        levels = self.encoder.channels
        self.project_key = nn.Conv2d(levels[2], config.key_channels, 1)
        self.log_temperature = nn.Parameter(torch.tensor(float(config.temperature)).log())
        self.target = TargetModel(levels) if config.use_target else None
        self.sources = sources(config)
        self.agnostic = AgnosticModule(config.width, self.sources, levels)
        self.instance = InstanceModule(config.width, self.sources + 1)
        self.decoder = Decoder(config.width, self.sources + 1)

    @property
    def _layers(self) -> Runner:
        return self if self.runner is None or self.training else self.runner

    @property
    def _temperature(self) -> Tensor:
        return self.log_temperature.exp().clamp(0.01, 1.0)

    @staticmethod
    def _key(features: Features) -> Tensor:
        if features.key is None:
            raise ValueError("These features have no key; they are not from this network.")
        return features.key

    def encode(self, image: Tensor) -> Features:
        """See `AGSSVOS.encode`; the key has `config.key_channels` channels of unit length at 1/16."""
        scaled = self.scaled(image)
        *found, key = self._layers.look(scaled)
        levels = tuple(found)
        return Features(scaled, levels, key, None if self.target is None else self.target.look(levels))

    @staticmethod
    def scaled(image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> as the encoder wants it."""
        return (image * 255 - 127) / 128

    def look(self, scaled: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The encoder's three levels and the key, from (B, 3, H, W) float32, (RGB in 0..255 - 127) / 128."""
        fine, middle, coarse = self.encoder(scaled)
        return fine, middle, coarse, F.normalize(self.project_key(coarse).float(), dim=1)

    def compare(self, levels: tuple[Tensor, ...], union: Tensor, match: Tensor) -> Shared:
        """The agnostic module; arguments as there."""
        shared: Shared = self.agnostic(levels, union, match)
        return shared

    def remember(self, features: Features, masks: Tensor, *, lasting: bool = True) -> Reference:
        """See `AGSSVOS.remember`; a value is the mask at 1/4, sixteen positions to a cell."""
        key = self._key(features)
        known = torch.ones(masks.shape[:2], dtype=torch.bool, device=masks.device)
        value = F.pixel_unshuffle(masks[:, :, None].float(), 4)
        if self.target is None or features.appearance is None or not lasting:
            return Reference(key, value, known)
        gram, cross = self.target.remember(features.appearance, value)
        return Reference(key, value, known, gram=gram, cross=cross)

    def compact(self, reference: Reference) -> Reference:
        """Keys in half precision and values in steps of 1/255: a quarter of the bytes, and no visible difference."""
        value = (reference.value * 255).round().to(torch.uint8)
        return replace(reference, key=reference.key.half(), value=value)

    def resemblance(self, features: Features, references: Sequence[Reference], cells: Tensor) -> Tensor:
        """See `AGSSVOS.resemblance`."""
        query = self._key(features).flatten(2)[:, :, None, cells]
        reading = attention.read(
            query, references, self._temperature, top_k=self.config.top_k, cutoff=self.config.cutoff
        )
        return reading.value[0].mean(1)[:, 0]

    def segment(self, features: Features, asked: Question) -> Tensor:
        """See `AGSSVOS.segment`. Each object is computed only where it can be."""
        with self.clock.measure("agnostic"):
            evidence = self.read(features, asked)
        return self._decided(features, evidence, asked.valid)

    def see(self, features: Features, asked: Question) -> Sighting:
        """See `AGSSVOS.see`."""
        with self.clock.measure("agnostic"):
            evidence = self.read(features, asked)
        masks = self._decided(features, evidence)
        return Sighting(masks, torch.unflatten(evidence.objects, 2, (-1, EVIDENCE_CELLS)).mean(3))

    def likeness(self, features: Features, references: Sequence[Reference]) -> Likeness | None:
        """See `AGSSVOS.likeness`."""
        if self.target is None or features.appearance is None:
            return None
        return self.target.likeness(features.appearance, references)

    def _decided(self, features: Features, evidence: Evidence, valid: Tensor | None = None) -> Tensor:
        """The masks that the evidence leads to."""
        with self.clock.measure("agnostic"):
            shared = self.share(features, evidence)
        logits = self.objects(features, shared, evidence.objects)
        return compete_logits(logits, valid, normalised=self.config.use_normalisation)

    def share(self, features: Features, evidence: Evidence) -> Shared | None:
        """What all objects share, from the target and the union of the evidence; None without the agnostic module."""
        if not self.config.use_agnostic:
            return None
        return self._layers.compare(features.levels, union(evidence.sources).flatten(1, 3), evidence.match)

    def read(self, features: Features, asked: Question) -> Evidence:
        """Ask the memory, the frame before, the warped masks and the target model; arguments as for `segment`."""
        references, previous, within, without = asked.references, asked.previous, asked.within, asked.without
        key, temperature = self._key(features), self._temperature
        if previous is None:
            memory = attention.read(key, references, temperature, top_k=self.config.top_k, cutoff=self.config.cutoff)
            local = memory.value
        else:
            window = attention.inside_window(key.shape[-2], key.shape[-1], self.config.window, key.device)
            memory, local = attention.read_twice(
                key, references, previous, temperature, window, top_k=self.config.top_k, cutoff=self.config.cutoff
            )
        moved = F.pixel_unshuffle(asked.warped[:, :, None].float(), 4)
        near = None if within is None else F.max_pool2d(within.float(), 4)[:, :, None]
        found = [_returned(memory.value, near), local, moved]
        if self.target is not None and features.appearance is not None:
            share = self.target.share(features.appearance, references)
            found.append(self.target.evidence(share))
        own = torch.stack(found, 2)  # (B, N, S, 16, h, w)
        if near is not None:
            own = own * near[:, :, None]
        if without is not None:
            own = own * ~without[..., None, None, None]
        looks_like = own[:, :, 0] if self.target is None else own[:, :, ::3].mean(2)
        claims = (looks_like + own[:, :, 2]) / 2
        others = (claims.sum(1, keepdim=True) - claims).clamp_max(1)
        return Evidence(own, torch.cat([own.flatten(2, 3), others], 2), memory.match)

    def objects(self, features: Features, shared: Shared | None, evidence: Tensor) -> Tensor:
        """Logits of all objects, in one pass over one canvas.

        Args:
            features: of the target.
            shared: what the agnostic module made of it, None without that module.
            evidence: (B, N, (S + 1) * 16, H/16, W/16).

        Returns:
            (B, N, H/4, W/4) logits; far below zero where an object cannot be.
        """
        batch, objects = evidence.shape[:2]
        own = evidence.flatten(0, 1)
        occupied = own[:, : 3 * EVIDENCE_CELLS].detach().amax(1) > self.config.evidence_threshold
        if self.target is not None:
            judged = own[:, 3 * EVIDENCE_CELLS : 4 * EVIDENCE_CELLS].detach().mean(1)
            occupied |= judged > self.config.target_threshold
        region = (Canvas if self.config.windows else WholeFrames)(support(occupied), batch)
        logits = region.place(self._decode(features, shared, own, region))
        return logits.reshape(batch, objects, *logits.shape[-2:])

    def _decode(self, features: Features, shared: Shared | None, evidence: Tensor, region: Region) -> Tensor:
        """Logits at 1/4, laid out as the region is, from (M, (S + 1) * 16, h, w) evidence."""
        with self.clock.measure("specific"):
            own = region.own(evidence)
            coarse = None if shared is None else region.shared(shared[0], 1)
            middle = None if shared is None else region.shared(shared[1], 2)
        with self.clock.measure("decoder"):
            visual = region.shared(self._visual(features, shared), 4)
            if coarse is None or middle is None:
                return self.decide(own, coarse, middle, visual, region.masks)
            return self._layers.decide(own, coarse, middle, visual, region.masks)

    def decide(
        self, own: Tensor, coarse: Tensor | None, middle: Tensor | None, visual: Tensor, masks: dict[int, Tensor]
    ) -> Tensor:
        """Instance module and decoder, on maps that are zero outside of the objects' places.

        Args:
            own: (M, (S + 1) * 16, h, w) evidence.
            coarse: (M, C1, h, w) agnostic feature; None without the agnostic module, like `middle`.
            middle: (M, C2, 2h, 2w) agnostic feature.
            visual: (M, C3, 4h, 4w) feature of the target.
            masks: as in `agss_model.network.lite.canvas.Region`.

        Returns:
            (M, 1, 4h, 4w) logits.
        """
        with self.clock.measure("specific"):
            if self.config.use_specific:
                context = self.instance.context(own, coarse, masks[1])
                attention, feature = self.instance.attend(context, own, masks)
                attended = feature + (attention if middle is None else attention * middle)  # equation 3
            elif middle is not None:
                moved = own[:, 2 * EVIDENCE_CELLS : 3 * EVIDENCE_CELLS]
                attended = middle * F.pixel_shuffle(moved, 2).mean(1, keepdim=True)
            else:
                raise ConfigError("use_agnostic and use_specific cannot both be off: nothing is left to decode.")
        out: Tensor = self.decoder(attended, own if self.config.use_specific else None, visual, masks)
        return out

    def _visual(self, features: Features, shared: Shared | None) -> Tensor:
        """(B, C3, H/4, W/4) feature of the target at 1/4; it needs no agnostic module."""
        if shared is not None:
            return shared[2]
        visual: Tensor = self.agnostic.skip_fine(features.levels[0])
        return visual


def _returned(shares: Tensor, near: Tensor | None) -> Tensor:
    """Give what a place owes to objects that cannot be there to those alike that can.

    What one of a hundred cells in a dish holds is read as a hundredth of each. An object takes part in what is returned
    as far as its own share is like the greatest one.

    Args:
        shares: (B, N, V, h, w) float, at least 0 where it counts, of N objects that share a place.
        near: (B, N, 1, h, w) of 0 and 1, where each can be; None for anywhere.
    """
    if near is None or shares.shape[1] == 1:
        return shares
    owed = (shares * (1 - near)).clamp_min(0).sum(1, keepdim=True)
    alike = (shares.clamp_min(0) / shares.amax(1, keepdim=True).clamp_min(1e-4)) * near
    return shares + owed * alike / alike.sum(1, keepdim=True).clamp_min(1)
