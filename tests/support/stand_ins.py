"""What stands in for parts of a network."""

from __future__ import annotations

from functools import partial

from agss_model.network.base import AGSSVOS


def let_segment(monkeypatch, network, function):
    """Let a function find the masks, called as `AGSSVOS.segment` is; nothing is known then of what it decided by."""
    monkeypatch.setattr(network, "segment", function)
    monkeypatch.setattr(network, "see", partial(AGSSVOS.see, network))


def masked_clip(maps, labels, *, source=None, first=0, human=(), scores=None, **about):
    """A clip for the writers of formats: label maps of the frames from `first` on; `human` are frames drawn on."""
    from agss_model.formats.clip import FrameMasks, MaskedClip
    from agss_model.masks import to_masks

    def each():
        for number, label_map in enumerate(maps, first):
            masks = to_masks(label_map)
            yield FrameMasks(number, masks, frozenset(masks if number in human else ()), scores or {})

    frames, size = range(first, first + len(maps)), maps[0].shape[::-1]
    return MaskedClip("clip", size, frames.stop, frames, labels, each, part=frames, source=source, **about)
