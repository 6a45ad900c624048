"""The published network: ResNet-50, every layer and every name inside a module as in the authors' checkpoint.

Images and masks come in and logits of each object go out, as `base` says. May import `base` and `equations` beside it.
"""

from __future__ import annotations

from agss_model.network.paper.model import PaperAGSSVOS

__all__ = ["PaperAGSSVOS"]
