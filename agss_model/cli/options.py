"""Options that several commands share, each written once."""

from __future__ import annotations

from typing import Annotated

import typer

from agss_model.cli.console import set_quiet


def _remember_debug(context: typer.Context, value: bool) -> bool:
    context.meta["agss.debug"] = value
    return value


def _remember_quiet(value: bool) -> bool:
    set_quiet(value)
    return value


def _weights_names() -> list[str]:
    from agss_model.weights.bundles import published_names
    from agss_model.weights.registry import shipped_models

    return [*shipped_models(), *published_names(), "propagation"]


Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="A name from `agss weights list`, or a .safetensors file.",
        autocompletion=_weights_names,
        show_default="lite if shipped, else propagation",
    ),
]
Flow = Annotated[
    str | None,
    typer.Option(
        "--flow",
        help="Motion between frames: dis, none, flownet2c, flownet2 (these two need imported weights), or a "
        ".safetensors file with the weights of a flow network.",
        show_default="what the weights were made for",
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="cpu, cuda, cuda:N or mps; auto takes the first GPU, else the CPU.")
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help="What runs lite: torch; on a CPU onnx (same masks, sooner), int8 (sooner still, masks differ a little) or "
        "openvino (soonest where the processor has bfloat16, masks differ a little); compile, torch's compiler, for "
        "GPUs. auto takes onnx on a CPU where it is installed, else torch.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", help="CPU threads to compute with.", show_default="all cores"),
]
MaxSide = Annotated[
    int | None,
    typer.Option(
        "--max-side",
        help="Longest side in pixels at which the network works; larger sees smaller things and is slower.",
        show_default="640, up to 960 where objects are small",
    ),
]
Adapt = Annotated[
    float | None,
    typer.Option(
        "--adapt",
        metavar="MINUTES",
        help="Learn from the clip's own masks first, for at most so many minutes; what is not better is not used. Pays "
        "where bodies turn, looks are odd, or a clip is long.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="For everything random.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error came from.", callback=_remember_debug)]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", callback=_remember_quiet, is_eager=True)
]
