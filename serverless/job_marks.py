"""Seals of what a run wrote; training must know them too, so they live beside the readers of annotations."""

from __future__ import annotations

from agss_model.annotations.seals import SOURCE, digest, is_own, is_sealed, name, seal

__all__ = ["SOURCE", "digest", "is_own", "is_sealed", "name", "seal"]
