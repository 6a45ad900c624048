"""One number for all parameters of a network, so that one changed number shows."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def fingerprint(*modules: nn.Module) -> str:
    """SHA-256 over the names, shapes and values of all parameters and buffers, in hexadecimal."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
