"""Weights of before the target model, widened to it; and the scale its features start with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from agss_model.network.lite.model import LiteAGSSVOS
from agss_model.network.lite.modules import EVIDENCE_CELLS

SHARE = 0.5
"""Of what the memory's weights were, the target model's begin with so much and the memory's keep the rest: begun with
zeros they are hardly learned, since memory and frame before say nearly everything in an easy clip."""


def widen(state: Mapping[str, Tensor], width: tuple[int, int, int]) -> dict[str, Tensor]:
    """Weights of `lite` without a target model -> with one, but for the parameters of `network.target` itself.

    Args:
        state: of a network with three sources of evidence.
        width: of both networks.
    """
    blocks = {  # name -> (channels before the memory's, channels of each source)
        "agnostic.enter": (state["project_key.weight"].shape[1], EVIDENCE_CELLS),
        "instance.enter": (0, EVIDENCE_CELLS),
        "instance.attention": (width[1], EVIDENCE_CELLS // 4),
        "decoder.evidence_fine": (0, 1),
    }
    out = dict(state)
    for name, (before, each) in blocks.items():
        old = state[f"{name}.weight"]
        memory = slice(before, before + each)
        target = before + 3 * each
        halved = old.clone()
        halved[:, memory] *= 1 - SHARE
        out[f"{name}.weight"] = torch.cat([halved[:, :target], SHARE * old[:, memory], halved[:, target:]], 1)
    return out


@torch.no_grad()
def standardise(network: LiteAGSSVOS, frames: Tensor) -> None:
    """Let every feature of a new target model have unit variance over some frames; one with a scale keeps it.

    Args:
        network: of any kind.
        frames: (B, 3, H, W) float32 in [0, 1].
    """
    if network.target is None or network.target.log_scale.any():
        return
    appearance = network.target.look(network.encode(frames).levels)
    deviation = appearance.transpose(0, 1).flatten(1).std(1)
    deviation[-1] = 1  # the constant
    network.target.log_scale.sub_(deviation.clamp_min(1e-3).log())
