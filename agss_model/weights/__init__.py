"""Weights: shipped ones, files, published versions, and the import of published checkpoints.

A name or a file comes in, a network with its parameters goes out, and back into a file. May import `network`, `flow`
and, for the head that gives scores, `tracking`.
"""

from __future__ import annotations

from agss_model.weights.registry import load_model

__all__ = ["load_model"]
