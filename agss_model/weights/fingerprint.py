"""One number for all parameters of a network, so that one changed number shows."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from agss_model.tracking.quality import ScoreHead


def fingerprint(*modules: nn.Module) -> str:
    """SHA-256 over the names, shapes and values of all parameters, buffers and heads for scores, in hexadecimal."""
    digest = hashlib.sha256()
    for module in modules:
        head: ScoreHead | None = getattr(module, "head", None)
        tensors = module.state_dict() | ({} if head is None else {f"head.{k}": v for k, v in head.state().items()})
        for name, tensor in sorted(tensors.items()):
            digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
