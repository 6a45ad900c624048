"""AGSS-VOS: every object of a video, segmented in one pass per frame."""

from __future__ import annotations

__version__ = "0.1.0"
