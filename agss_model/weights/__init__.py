"""Weights: shipped ones, files, and the import of published checkpoints."""

from __future__ import annotations

from agss_model.weights.registry import load_model

__all__ = ["load_model"]
