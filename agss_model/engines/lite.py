"""The layers of `lite` that look at the whole frame as two graphs of any size: encoder with key, and agnostic module.

The object path stays in torch: its canvas changes size from frame to frame and lies channels-last in memory, and torch
takes half the time of ONNX Runtime for it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from agss_model.engines.eight_bit import frames_of_the_demo, quantised
from agss_model.engines.graphs import Array, Graph, export, on_onnxruntime, on_openvino
from agss_model.network.lite.model import LiteAGSSVOS, Shared
from agss_model.network.lite.modules import EVIDENCE_CELLS

_RUN = {"onnx": on_onnxruntime, "int8": on_onnxruntime, "openvino": on_openvino}
_HEIGHT, _WIDTH = 2, 3
_ANY = (_HEIGHT, _WIDTH)


class _Look(nn.Module):
    def __init__(self, network: LiteAGSSVOS) -> None:
        super().__init__()
        self.network = network

    def forward(self, scaled: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.network.look(scaled)


class _Compare(nn.Module):
    def __init__(self, network: LiteAGSSVOS) -> None:
        super().__init__()
        self.network = network

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor, union: Tensor, match: Tensor) -> Shared:
        return self.network.compare((fine, middle, coarse), union, match)


class LiteRunner:
    """See `agss_model.network.lite.model.Runner`.

    Frames, canvases and so the number of objects may be of any size; batches hold one clip.
    """

    def __init__(self, network: LiteAGSSVOS, engine: str, threads: int | None = None) -> None:
        """Export the network and prepare the engine.

        Args:
            network: in eval mode on the CPU, with both modules, and without a runner.
            engine: "onnx", "int8" or "openvino".
            threads: of the engine, None for as many as torch has.
        """

        def maps(*sizes: tuple[int, int]) -> list[Tensor]:
            """An example of 3 x 4 cells for each (channels, scale)."""
            return [torch.ones(1, channels, 3 * scale, 4 * scale) for channels, scale in sizes]

        def prepare(module: nn.Module, example: list[Tensor], names: str, outputs: str) -> Graph:
            graph = export(module.eval(), example, dict.fromkeys(names.split(), _ANY), outputs.split())
            if engine == "int8" and isinstance(module, _Look):
                graph = quantised(graph, ({names: frame} for frame in frames_of_the_demo(network)))
            return _RUN[engine](graph, threads or torch.get_num_threads())

        self._look = prepare(_Look(network), maps((3, 16)), "scaled", "fine middle coarse key")
        levels = list(zip(network.encoder.channels, (4, 2, 1), strict=True))
        self._compare = prepare(
            _Compare(network),
            maps(*levels, (network.sources * EVIDENCE_CELLS, 1), (1, 1)),
            "fine middle coarse union match",
            "shared_coarse shared_middle shared_fine",
        )
        self._network = network

    def look(self, scaled: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `LiteAGSSVOS.look`."""
        fine, middle, coarse, key = _run(self._look, scaled)
        return fine, middle, coarse, key

    def compare(self, levels: tuple[Tensor, ...], union: Tensor, match: Tensor) -> Shared:
        """See `LiteAGSSVOS.compare`."""
        coarse, middle, fine = _run(self._compare, *levels, union, match)
        return coarse, middle, fine

    def decide(self, own: Tensor, coarse: Tensor, middle: Tensor, visual: Tensor, masks: dict[int, Tensor]) -> Tensor:
        """See `LiteAGSSVOS.decide`."""
        return self._network.decide(own, coarse, middle, visual, masks)


def _run(graph: Graph, *tensors: Tensor) -> list[Tensor]:
    arrays: list[Array] = [np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32) for tensor in tensors]
    return [torch.from_numpy(np.asarray(array)) for array in graph(arrays)]
