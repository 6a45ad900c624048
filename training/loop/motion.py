"""DIS flow ahead of the step: it needs the frames only, so threads compute it while the GPU trains."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch
from torch import Tensor

from agss_model.flow import DISFlow
from training.data.clips import Clips
from training.loop.recurrent import reduce_flow


class FlowAhead:
    """Adds the flow between all neighbouring frames to clips.

    Args:
        threads: pairs of frames at once.
        stride: the flow is reduced to the masks that the network carries.
    """

    def __init__(self, threads: int, stride: int) -> None:
        self.stride = stride
        self._threads = ThreadPoolExecutor(threads)
        self._own = threading.local()  # an estimator serves one thread at a time

    def __call__(self, clips: Clips) -> Clips:
        """The clips with `flow` set, on their device."""
        frames = clips.frames.cpu()
        batch, count = frames.shape[:2]
        pairs = [(frames[b, t], frames[b, t - 1]) for b in range(batch) for t in range(1, count)]
        flows = torch.stack(list(self._threads.map(self._pair, pairs)))
        return replace(clips, flow=flows.reshape(batch, count - 1, *flows.shape[1:]).to(clips.frames.device))

    def _pair(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        if not hasattr(self._own, "flow"):
            self._own.flow = DISFlow()
        target, source = pair
        return reduce_flow(self._own.flow(target[None], source[None]), self.stride)[0]
