"""A graph whose convolutions are computed in eight bits, on the scale that real frames give."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import torch

from agss_model.demo_clip import VIDEO
from agss_model.engines.graphs import Array, import_onnxruntime
from agss_model.files import scratch
from agss_model.network.lite.model import LiteAGSSVOS
from agss_model.tracking.frames import Geometry, to_image
from agss_model.video import open_source

_EVERY = 10  # frames of the shipped clip: seven of them
_TOGETHER = ["Conv", "Clip", "Add"]
"""Layers quantised together, or each result would be rounded on the scale it has before it is clipped."""


def quantised(graph: bytes, examples: Iterable[dict[str, Array]]) -> bytes:
    """The same function, convolved in bytes: half the time of an encoder on a CPU.

    Args:
        graph: with convolutions whose weights are constants.
        examples: inputs by name; the ranges that maps have on them are the ranges that bytes cover.
    """
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class CalibrationReader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._examples: Iterator[dict[str, Array]] = iter(examples)

        def get_next(self) -> dict[str, Array] | None:
            return next(self._examples, None)

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises a step on the root logger that was done at the export
    try:
        with scratch() as folder:
            given, prepared, target = (folder / f"{name}.onnx" for name in ("given", "prepared", "target"))
            given.write_bytes(graph)
            quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(target),
                CalibrationReader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,  # without VNNI a processor adds pairs of products in 16 bits: 8 bits overflow
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=_TOGETHER,
            )
            return target.read_bytes()
    finally:
        logger.setLevel(level)


@torch.inference_mode()
def frames_of_the_demo(network: LiteAGSSVOS) -> Iterator[Array]:
    """Some frames of the shipped clip, (1, 3, H, W) as `LiteAGSSVOS.look` takes them."""
    with open_source(VIDEO) as source:
        for frame in source.frames(0, len(source), _EVERY):
            geometry = Geometry.of(frame.shape[0], frame.shape[1], network)
            yield network.scaled(to_image(frame, geometry, torch.device("cpu"))).numpy()
