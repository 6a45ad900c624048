"""What runs the layers of `lite`: torch itself; on a CPU ONNX Runtime or OpenVINO; torch's compiler, meant for GPUs.

ONNX Runtime gives torch's masks, sooner, and is what "auto" takes. OpenVINO is faster still where the processor
computes in bfloat16, and "int8" lets ONNX Runtime encode frames in eight bits; masks then differ from torch's by more
than rounding, so both must be asked for.

The layers are exported when an engine is chosen, in a second, into memory: nothing is written, and one file of weights
serves every engine. Reading the memory and laying out the objects stay in torch.

A name and a network come in, the network with faster layers goes out. May import `network`, `weights`, `flow`,
`tracking`, `video`, `system` and `demo_clip`, whose frames give the scale of eight bits.
"""

from __future__ import annotations

from importlib.util import find_spec

from agss_model.errors import ConfigError
from agss_model.network.base import AGSSVOS

ENGINES = ("auto", "torch", "onnx", "int8", "openvino", "compile")
_ONNX = ("onnx", "onnxscript", "onnxruntime")
NEEDED = {"onnx": _ONNX, "int8": _ONNX, "openvino": ("onnx", "onnxscript", "openvino")}
"""Packages by engine."""


def installed(engine: str) -> bool:
    """Whether everything an engine needs can be imported."""
    return all(find_spec(name) is not None for name in NEEDED.get(engine, ()))


def pick_engine(engine: str, network: AGSSVOS) -> str:
    """The engine itself, or for "auto" the fastest that is installed and can run this network where it is.

    Raises:
        ConfigError: no such engine, not installed, or it cannot run this network.
    """
    if engine not in ENGINES:
        raise ConfigError(f"There is no engine {engine!r}; choose one of {', '.join(ENGINES)}.")
    obstacle = _obstacle(network, anywhere=engine == "compile")
    if engine == "auto":
        return "onnx" if obstacle is None and installed("onnx") else "torch"
    if engine != "torch":
        if obstacle is not None:
            raise ConfigError(f"The engine {engine} runs {obstacle}; use the engine torch.")
        if not installed(engine):
            missing = ", ".join(name for name in NEEDED[engine] if find_spec(name) is None)
            extra = "openvino" if engine == "openvino" else "onnx"
            raise ConfigError(f'The engine {engine} needs {missing}; install in the clone: pip install ".[{extra}]"')
    return engine


def _obstacle(network: AGSSVOS, *, anywhere: bool) -> str | None:
    """What engines other than torch are limited to, if this network is outside of it; `anywhere`: not only on CPUs."""
    config = network.config
    if config.architecture != "lite":
        return f"lite only, not {config.architecture}"
    if not (config.use_agnostic and config.use_specific):
        return "networks with both modules only"
    device = next(network.parameters()).device
    return None if anywhere or device.type == "cpu" else f"on CPUs only, not on {device}"


def use_engine(network: AGSSVOS, engine: str, threads: int | None = None) -> str:
    """Let an engine run a network from now on.

    Args:
        network: in eval mode; changed. Its parameters must not change afterwards.
        engine: one of `ENGINES`.
        threads: of the engine, None for as many as torch has.

    Returns:
        The engine's name, never "auto".

    Raises:
        ConfigError: as `pick_engine`.
    """
    chosen = pick_engine(engine, network)
    from agss_model.network.lite.model import LiteAGSSVOS

    if isinstance(network, LiteAGSSVOS):
        network.runner = None
        if chosen == "compile":
            from agss_model.engines.compiled import CompiledRunner

            network.runner = CompiledRunner(network)
        elif chosen != "torch":
            from agss_model.engines.lite import LiteRunner

            network.runner = LiteRunner(network, chosen, threads)
    return chosen
