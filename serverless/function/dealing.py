"""Which object of a scene carries which picture, so that together they lose nothing and each can go on alone.

Pictures that lose nothing are large and the same for all objects, so one or two carry each of them. The others carry a
faint copy of the two pictures without which an object cannot go on, and it counts only where the true one did not come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from serverless.function.pictures import FAINT_BYTES, Picture
from serverless.function.state import ObjectState

SHARED_BYTES = 4_000_000
"""Limit on the pictures in one answer that some objects carry for others; beyond it the faint copies must do."""
DRAWN_COPIES = 2
"""Objects that carry the picture of a frame in which a person drew: it never comes again. Others are carried once."""


def dealt(states: Sequence[ObjectState], pictures: Mapping[str, Picture]) -> list[ObjectState]:
    """The same objects, each with the pictures it carries.

    Args:
        states: all objects of an answer, in an order that does not depend on the request's; their pictures are ignored.
        pictures: of every frame they name, and faint copies made before.
    """
    hands = _hands(states, pictures)
    every = dict(pictures)
    copies = {frame.digest: frame.faint for s in states for frame in s.frames if frame.faint in pictures}
    return [_carrying(state, hand, every, copies) for state, hand in zip(states, hands, strict=True)]


def _hands(states: Sequence[ObjectState], pictures: Mapping[str, Picture]) -> list[set[str]]:
    """The true pictures that each object carries for all. Those that most objects know go first; turns are taken."""
    knowing: dict[str, list[int]] = {}
    for slot, state in enumerate(states):
        for digest in {frame.digest for frame in state.frames}:
            knowing.setdefault(digest, []).append(slot)
    drawn = {state.drawn.digest for state in states}
    hands: list[set[str]] = [set() for _ in states]
    room, turn = SHARED_BYTES, 0
    for digest in sorted(knowing, key=lambda digest: (-len(knowing[digest]), digest)):
        slots = knowing[digest]
        copies = min(DRAWN_COPIES if digest in drawn else 1, len(slots))
        if (size := copies * len(pictures[digest].data)) > room:
            continue
        room -= size
        for _ in range(copies):
            hands[slots[turn % len(slots)]].add(digest)
            turn += 1
    return hands


def _carrying(
    state: ObjectState, hand: set[str], pictures: dict[str, Picture], copies: dict[str, str | None]
) -> ObjectState:
    """An object with what it was dealt, and its first and its last frame in some form; new copies are added to both."""
    frames, carried = list(state.frames), set(hand)
    for place in {0, len(frames) - 1}:
        digest = frames[place].digest
        if digest not in hand and len(pictures[digest].data) > FAINT_BYTES:
            if copies.get(digest) is None:
                copy = pictures[digest].faint()
                pictures[copy.digest], copies[digest] = copy, copy.digest
            frames[place] = replace(frames[place], faint=copies[digest])
            digest = copies[digest] or ""
        carried.add(digest)
    return replace(state, frames=tuple(frames), pictures={digest: pictures[digest] for digest in sorted(carried)})
