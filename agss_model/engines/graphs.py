"""One exported function: a torch module as an ONNX graph, and what runs it."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Array = npt.NDArray[np.float32]
Graph = Callable[[Sequence[Array]], Sequence[Array]]
"""Arrays in, arrays out, both in the order of the exported module."""

_OPSET = 18


def export(
    module: nn.Module, example: Sequence[Tensor], inputs: Mapping[str, Sequence[int]], outputs: Sequence[str]
) -> bytes:
    """An ONNX graph of a module.

    Args:
        module: in eval mode; its forward takes and gives tensors, several as a tuple.
        example: arguments; their sizes do not matter where they may vary.
        inputs: names, and for each the dimensions that may vary.
        outputs: names.
    """
    import onnx
    from onnxscript import optimizer

    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The newer exporter takes half a minute for what this one does in half a second.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(example),
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: list(varying) for name, varying in inputs.items()},
        )
    # Constants written as nodes keep ONNX Runtime from fusing convolutions with what follows: a third of its time.
    model = optimizer.optimize(onnx.load_model_from_string(buffer.getvalue()))
    return bytes(model.SerializeToString())


def import_onnxruntime() -> Any:  # noqa: ANN401 - the package has no types
    """ONNX Runtime; imported here only."""
    # Its builds of 2026 keep an id in the user's cache and report uses to their maker unless told before the import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def on_onnxruntime(graph: bytes, threads: int) -> Graph:
    """Run a graph with ONNX Runtime on the CPU."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Waiting threads would otherwise spin and take the cores from torch between two calls.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]

    def run(arrays: Sequence[Array]) -> Sequence[Array]:
        found: Sequence[Array] = session.run(None, dict(zip(names, arrays, strict=True)))
        return found

    return run


def on_openvino(graph: bytes, threads: int) -> Graph:
    """Run a graph with OpenVINO on the CPU, in bfloat16 where the processor has it: there it takes half the time."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "bf16",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(io.BytesIO(graph)), "CPU", settings)
    count = len(compiled.outputs)

    def run(arrays: Sequence[Array]) -> Sequence[Array]:
        found = compiled(list(arrays), share_inputs=True)
        return [np.asarray(found[index]) for index in range(count)]

    return run
