"""Requests that went wrong on the way: bytes, JSON, pictures, masks and numbers changed by chance, always the same."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import zlib

import numpy as np

NUMBERS = [0, -1, 1, 0.5, 1e300, -1e300, 2**31, 2**53, 10**30, float("nan"), float("inf"), float("-inf")]
TEXTS = ["", "x", "\x00", "\ud800", "9" * 40]
VALUES = [*NUMBERS, *TEXTS, None, True, False, [], {}, [[]], [{}], [None] * 101, {"": None}]


class Mutator:
    """Bodies made from good messages."""

    def __init__(self, messages, seed=0):
        self.messages, self.rng = messages, np.random.default_rng(seed)
        self.kinds = [self._json, self._several, self._mixed, self._bytes, self._cut] + 2 * [self._picture, self._mask]

    def body(self):
        """Bytes of one request."""
        message = copy.deepcopy(self._any(self.messages))
        return self._any(self.kinds)(message)

    def _any(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def _json(self, message):
        """One value somewhere is another, missing, doubled, or stands somewhere else."""
        holder, key = self._place(message)
        way = int(self.rng.integers(5))
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(self._any(holder)))
        elif way == 2:
            other, place = self._place(copy.deepcopy(self._any(self.messages)))
            holder[key] = other[place]
        elif isinstance(holder[key], (int, float)) and way == 3:
            holder[key] = self._any([*NUMBERS, holder[key] + 1, holder[key] - 1, -holder[key], holder[key] * 100])
        else:
            holder[key] = copy.deepcopy(self._any(VALUES))
        return json.dumps(message).encode()

    def _several(self, message):
        for _ in range(int(self.rng.integers(2, 6))):
            if message:
                message = json.loads(self._json(message))
        return json.dumps(message).encode()

    def _mixed(self, message):
        """Objects of several requests in one, in any order, with the picture of one of them."""
        for other in (self._any(self.messages) for _ in range(int(self.rng.integers(1, 4)))):
            for name in ("shapes", "states"):
                message[name] = [*(message.get(name) or []), *copy.deepcopy(other.get(name) or [])]
                self.rng.shuffle(message[name])
        return json.dumps(message).encode()

    def _picture(self, message):
        """Damage within a picture; in a state its digest fits again, as whoever means harm would see to."""
        states = [state for state in message.get("states") or [] if isinstance(state, dict) and state.get("pictures")]
        if not states or self.rng.random() < 0.4:
            message["image"] = _text(self._damaged(base64.b64decode(message["image"])))
            return json.dumps(message).encode()
        state = self._any(states)
        place = int(self.rng.integers(len(state["pictures"])))
        data = base64.b64decode(state["pictures"][place])
        changed = self._damaged(data)
        state["pictures"][place] = _text(changed)
        return json.dumps(message).replace(_digest(data), _digest(changed)).encode()

    def _mask(self, message):
        """A mask of a state holds other pixels, of the right number or nearly."""
        states = [state for state in message.get("states") or [] if isinstance(state, dict) and state.get("frames")]
        if not states:
            return self._json(message)
        state = self._any(states)
        rows, columns = state["carried"]
        if self.rng.random() < 0.3:
            rows, columns = state["carried"] = [int(side) for side in self.rng.integers(1, 80, 2)]
        for frame in state["frames"]:
            count = rows * columns + int(self._any([0, 0, 0, 0, 1, -1]))
            pixels = self._any([np.zeros, np.ones, lambda n, kind: self.rng.integers(0, 256, n, kind)])(count, np.uint8)
            frame["mask"] = _text(zlib.compress(pixels.tobytes()))
        return json.dumps(message).encode()

    def _bytes(self, message):
        return self._damaged(json.dumps(message).encode())

    def _cut(self, message):
        body = json.dumps(message).encode()
        return body[: int(self.rng.integers(len(body)))] + bytes(self.rng.integers(0, 256, 3, np.uint8)).strip()

    def _damaged(self, data):
        data = bytearray(data)
        for _ in range(int(self.rng.integers(1, 9))):
            at, size = int(self.rng.integers(len(data) + 1)), int(self.rng.integers(1, 9))
            piece = bytes(self.rng.integers(0, 256, size, np.uint8))
            end = self._any([at, at + 1, at + size])  # put in, one byte less, or over what is there
            data[at:end] = self._any([piece, b"", data[: size * 4]])
        return bytes(data)

    def _place(self, message):
        """A container somewhere in a message, and one of its keys."""
        holder = message
        while True:
            key = self._any(list(holder) if isinstance(holder, dict) else range(len(holder)))
            if not isinstance(holder[key], (dict, list)) or not holder[key] or self.rng.random() < 0.1:
                return holder, key
            holder = holder[key]


def _text(data):
    return base64.b64encode(data).decode()


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:32]
