"""An end to waiting for somebody else's answer, however it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

Answer = TypeVar("Answer")


class LateError(Exception):
    """What was asked had not ended in time."""


def within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """What `ask` gives or raises, if that is within so many seconds.

    The limits of a socket count from one byte to the next, so a server that sends a byte now and then keeps them. What
    is late goes on in a thread that does not keep the program from ending.

    Raises:
        LateError: it took longer.
    """
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    if not wait([future], seconds).done:
        raise LateError(f"what had not ended after {seconds:g} seconds")
    return future.result()
