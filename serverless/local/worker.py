"""A worker of the local server: one process that imports the handler and answers one event at a time, as in Nuclio.

Events and responses pass through Nuclio's own classes, so the handler meets the same objects as in a container.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

READY = b"ready"


class WorkerDiedError(Exception):
    """The process ended before it answered."""


class WorkerSlowError(Exception):
    """No answer in time."""


class Worker:
    """The server's side of one worker process.

    Attributes:
        number: from 0.
        ready: whether it can take an event.
    """

    def __init__(self, number: int, handler: str, environment: Mapping[str, str]) -> None:
        self.number, self.ready = number, False
        self._handler, self._environment = handler, dict(environment)
        self._context = get_context("spawn")
        self._process: Any = None
        self._pipe: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Number of the process, None before `start`."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return bool(self._process and self._process.is_alive())

    def start(self) -> None:
        """Begin the process; `wait` until it is ready."""
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=run, args=(theirs, self._handler, self._environment, self.number), daemon=True
        )
        self._process.start()
        theirs.close()
        self._pipe = ours

    def wait(self, timeout: float) -> str | None:
        """Until import and `init_context` are done; returns what went wrong, None if nothing did."""
        pipe = self._pipe
        if pipe is None:
            return "it was not started"
        try:
            if not pipe.poll(timeout):
                return f"it was not ready within {timeout:.0f} s"
            message = pipe.recv_bytes()
        except (EOFError, OSError):
            return "its process ended while it started"
        self.ready = message == READY
        return None if self.ready else message.decode(errors="replace")

    def call(self, event: Mapping[str, Any], timeout: float | None) -> dict[str, Any]:
        """Hand an event over and wait for the response.

        Args:
            event: the fields of Nuclio's event message.
            timeout: in seconds, None for any time.

        Returns:
            The fields of Nuclio's response message.

        Raises:
            WorkerSlowError: no answer in time; the process is busy still and must be stopped.
            WorkerDiedError: the process is gone.
        """
        import msgpack

        pipe = self._pipe
        if pipe is None:
            raise WorkerDiedError
        try:
            pipe.send_bytes(msgpack.packb(event))
            if not pipe.poll(timeout):
                raise WorkerSlowError
            response: dict[str, Any] = json.loads(pipe.recv_bytes())
        except (EOFError, OSError) as error:
            raise WorkerDiedError from error
        return response

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.ready = False
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def check_installed() -> None:
    """Import what a worker needs beside the function itself.

    Raises:
        ImportError: something is not installed.
    """
    for name in ("msgpack", "nuclio_sdk", "pydantic", "uvicorn"):
        importlib.import_module(name)


def run(pipe: Connection, handler: str, environment: Mapping[str, str], number: int) -> None:
    """The process: import, `init_context`, then events until the pipe closes."""
    # The server, told the same, lets workers answer and ends them itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.environ.update(environment)
    module, _, name = handler.partition(":")
    try:
        code = importlib.import_module(module)
        context = _context(number)
        if hasattr(code, "init_context"):
            code.init_context(context)
        entry = getattr(code, name)
    except Exception as error:
        pipe.send_bytes(f"{type(error).__name__}: {error}".encode())
        return
    pipe.send_bytes(READY)
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        pipe.send_bytes(json.dumps(_answer(entry, context, message)).encode())


def _context(number: int) -> Any:  # noqa: ANN401 - nuclio_sdk has no types
    import logging

    import nuclio_sdk
    from nuclio_sdk.logger import HumanReadableFormatter

    logger = nuclio_sdk.Logger(logging.INFO)
    logger.set_handler("default", sys.stderr, HumanReadableFormatter())
    return nuclio_sdk.Context(logger, worker_id=str(number))


def _answer(entry: Any, context: Any, message: bytes) -> dict[str, Any]:  # noqa: ANN401
    import traceback

    import msgpack
    from nuclio_sdk import Event, Response
    from nuclio_sdk.event import EventDeserializerKinds
    from nuclio_sdk.json_encoder import Encoder

    try:
        event = Event.deserialize(msgpack.unpackb(message, raw=False), kind=EventDeserializerKinds.msgpack)
        output: dict[str, Any] = Response.from_entrypoint_output(Encoder().encode, entry(context, event))
    except Exception:
        context.logger.error_with("the handler raised", trace=traceback.format_exc(), thread=threading.get_ident())
        return {**Response.empty_response(), "status_code": 500, "body": traceback.format_exc()}
    return output
