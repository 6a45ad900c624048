"""What stands in for parts of a network."""

from __future__ import annotations

from functools import partial

from agss_model.network.base import AGSSVOS


def let_segment(monkeypatch, network, function):
    """Let a function find the masks, called as `AGSSVOS.segment` is; nothing is known then of what it decided by."""
    monkeypatch.setattr(network, "segment", function)
    monkeypatch.setattr(network, "see", partial(AGSSVOS.see, network))
