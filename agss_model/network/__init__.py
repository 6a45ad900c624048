"""Networks: tensors in, tensors out. `build_network` is the one place that knows all of them.

Images and masks come in, logits, features and labels go out, all as tensors. May import `system`, for its clock; opens
no file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agss_model.config import AgssConfig

if TYPE_CHECKING:
    from agss_model.network.base import AGSSVOS


def build_network(config: AgssConfig) -> AGSSVOS:
    """The network a configuration describes, with untrained parameters, in training mode, on the CPU.

    Raises:
        ConfigError: settings of this architecture exclude each other.
    """
    if config.architecture == "paper":
        from agss_model.network.paper import PaperAGSSVOS

        return PaperAGSSVOS(config)
    if config.architecture == "rgmp":
        from agss_model.network.rgmp import RGMP

        return RGMP(config)
    if config.architecture == "propagation":
        from agss_model.network.propagation import PropagationAGSSVOS

        return PropagationAGSSVOS(config)
    from agss_model.network.lite.model import LiteAGSSVOS

    return LiteAGSSVOS(config)
