"""The layers of `lite` through torch's compiler; on a GPU as CUDA graphs where sizes stay the same."""

from __future__ import annotations

import torch
from torch import Tensor

from agss_model.network.lite.model import LiteAGSSVOS, Shared


class CompiledRunner:
    """See `agss_model.network.lite.model.Runner`. The first frames of a size take seconds each: they compile."""

    def __init__(self, network: LiteAGSSVOS, backend: str = "inductor") -> None:
        """Prepare; nothing is compiled yet.

        Args:
            network: in eval mode, on its device.
            backend: of `torch.compile`.
        """
        # Recorded graphs write into the same memory each time, so what they give is copied before it is kept.
        mode = "reduce-overhead" if backend == "inductor" and next(network.parameters()).is_cuda else None
        self._look = torch.compile(network.look, dynamic=False, backend=backend, mode=mode)
        self._compare = torch.compile(network.compare, dynamic=False, backend=backend, mode=mode)
        self._decide = torch.compile(network.decide, dynamic=True, backend=backend)  # canvases come in many sizes

    def look(self, scaled: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `LiteAGSSVOS.look`."""
        fine, middle, coarse, key = self._look(scaled)
        return fine.clone(), middle.clone(), coarse.clone(), key.clone()

    def compare(self, levels: tuple[Tensor, ...], union: Tensor, match: Tensor) -> Shared:
        """See `LiteAGSSVOS.compare`."""
        coarse, middle, fine = self._compare(levels, union, match)
        return coarse.clone(), middle.clone(), fine.clone()

    def decide(self, own: Tensor, coarse: Tensor, middle: Tensor, visual: Tensor, masks: dict[int, Tensor]) -> Tensor:
        """See `LiteAGSSVOS.decide`."""
        logits: Tensor = self._decide(own, coarse, middle, visual, masks)
        return logits
