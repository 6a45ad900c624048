"""What moves the weights: network and flow with their first weights, parameter groups, schedule, moving average."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agss_model.config import AgssConfig, preset
from agss_model.errors import AgssError, ConfigError, WeightsError
from agss_model.flow import FlowEstimator, FlowNet2, FlowNet2C, build_flow
from agss_model.network import build_network
from agss_model.network.base import AGSSVOS
from agss_model.network.lite.model import LiteAGSSVOS
from agss_model.network.paper.resnet import Bottleneck
from agss_model.weights.files import load_into, read_weights, save_weights
from agss_model.weights.imagenet import imagenet_weights
from training.loop.settings import RunConfig, read_run
from training.loop.widening import widen

OBJECT_PATH = ("instance.", "decoder.")
BRANCH_GAIN = 0.25  # of residual branches at the start, so that sixteen of them without statistics stay in range


def new_network(run: RunConfig) -> AGSSVOS:
    """The run's network with its first weights, reproducible from the run's seed.

    Raises:
        ConfigError: an unknown preset or setting.
        WeightsError: `init` cannot be had, or is of another network.
    """
    torch.manual_seed(run.seed)
    network = build_network(AgssConfig.from_dict(preset(run.preset).to_dict() | run.network))
    if run.init == "imagenet":
        if not isinstance(network, LiteAGSSVOS):
            raise WeightsError(f"init = 'imagenet' is for lite; {run.preset} starts from 'random' or a file.")
        load_into(network.encoder, imagenet_weights(network.config.encoder))
    elif run.init == "random":
        _balance(network)
    else:
        state, config, _ = read_weights(Path(run.init))
        if network.config.use_target and not config.use_target:
            own = {name: value for name, value in network.state_dict().items() if name.startswith("target.")}
            state = widen(state, config.width) | own
        load_into(network, state)
    return network


def _balance(network: nn.Module) -> None:
    """Untrained convolutions that neither swell nor fade: their batch normalisation has fixed, empty statistics."""
    for module in network.modules():
        if isinstance(module, Bottleneck):
            for convolution in (module.conv1, module.conv2, module.conv3):
                nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.constant_(module.bn3.weight, BRANCH_GAIN)
            if module.downsample is not None and isinstance(shortcut := module.downsample[0], nn.Conv2d):
                nn.init.kaiming_normal_(shortcut.weight, nonlinearity="linear")


def new_flow(run: RunConfig, network: AGSSVOS) -> FlowEstimator | None:
    """The estimator the network is configured for, None for none; a network is trained where `flow_lr` is above 0.

    Raises:
        WeightsError: `flow_weights` cannot be used.
    """
    if not network.config.use_flow or network.config.flow == "none":
        return None
    if network.config.flow == "dis":
        return build_flow("dis")
    torch.manual_seed(run.seed + 1)
    flow = FlowNet2C() if network.config.flow == "flownet2c" else FlowNet2()
    if run.flow_weights:
        load_into(flow, read_weights(Path(run.flow_weights))[0])
    return flow.requires_grad_(run.flow_lr > 0)


def new_optimizer(network: AGSSVOS, flow: FlowEstimator | None, run: RunConfig) -> torch.optim.Optimizer:
    """Adam or AdamW over the run's parameter groups; each remembers its undiminished rate as `base`."""
    groups = parameter_groups(network, run)
    if isinstance(flow, nn.Module) and run.flow_lr > 0:
        groups.append({"params": list(flow.parameters()), "lr": run.flow_lr})
    for group in groups:
        group["base"] = group["lr"]
    kind = torch.optim.AdamW if run.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, weight_decay=run.weight_decay)


def parameter_groups(network: nn.Module, run: RunConfig) -> list[dict[str, Any]]:
    """Everything at `lr`, the encoder at `encoder_lr`, the object path at `object_lr`; what is frozen not at all.

    Raises:
        ConfigError: something is to be frozen that the network does not have.
    """
    names = [name for name, _ in network.named_parameters()]
    if unknown := [start for start in run.frozen if not any(name.startswith(start) for name in names)]:
        raise ConfigError(f"frozen names {unknown[0]!r}, but no parameter of {run.preset} begins so.")
    blocks = ("encoder.stem.", *(f"encoder.blocks.{index}." for index in range(run.frozen_blocks)))
    if run.frozen_blocks and not any(name.startswith(blocks) for name in names):
        raise ConfigError(f"frozen_blocks = {run.frozen_blocks}, but {run.preset} has no such blocks; leave it out.")
    frozen = (*run.frozen, *(blocks if run.frozen_blocks else ()))
    rest, encoder, objects = [], [], []
    for name, parameter in network.named_parameters():
        if name.startswith(frozen):
            parameter.requires_grad_(False)
        elif name.startswith("encoder."):
            encoder.append(parameter)
        elif run.object_lr is not None and name.startswith(OBJECT_PATH):
            objects.append(parameter)
        else:
            rest.append(parameter)
    groups = [(rest, run.lr), (encoder, run.encoder_lr), (objects, run.object_lr)]
    return [{"params": parameters, "lr": rate} for parameters, rate in groups if parameters]


def poly(step: int, run: RunConfig) -> float:
    """Factor of the learning rate: a short rise, then (1 - progress) ** power, or 1 until the last `decay` steps."""
    rise = min(1.0, (step + 1) / run.warm_up) if run.warm_up else 1.0
    if run.decay:
        return float(rise * min(1.0, (run.total_steps - step) / run.decay))
    return float(rise * (1 - step / run.total_steps) ** run.power)


@torch.no_grad()
def move_average(
    average: nn.Module, network: nn.Module, decay: float, step: int, first: Mapping[str, Tensor] | None, kept: float
) -> None:
    """Let the averaged weights follow; faster in the first steps, at once where `decay` is 0.

    What they follow is the network, with a share `kept` of its first weights.
    """
    share = 1 - min(decay, (1 + step) / (10 + step)) if decay else 1.0
    current = network.state_dict()
    for name, value in average.state_dict().items():
        if not value.is_floating_point():
            value.copy_(current[name])
        else:
            value.lerp_(current[name] if first is None else current[name].lerp(first[name], kept), share)


def main() -> None:
    """Write a run's first weights to a file, to start the same run where the ImageNet package is missing."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("settings", type=Path, help="TOML file of the run")
    parser.add_argument("out", type=Path, help="safetensors file to write; use it with --set 'init=\"FILE\"'")
    given = parser.parse_args()
    try:
        run = read_run(given.settings)
        network = new_network(run)
        save_weights(given.out, network.state_dict(), network.config, {"init": run.init, "seed": str(run.seed)})
    except AgssError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
