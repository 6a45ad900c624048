"""The published network: ResNet-50, every layer and every name inside a module as in the authors' checkpoint."""

from __future__ import annotations

from agss_model.network.paper.model import PaperAGSSVOS

__all__ = ["PaperAGSSVOS"]
