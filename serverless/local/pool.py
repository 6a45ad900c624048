"""Worker processes that take turns, first come first served, as in Nuclio.

No free worker in time is 503; a request that takes too long is 408 and its worker is replaced; a worker that dies in a
request is 500. Beyond Nuclio: a worker that ends is replaced while the others go on (Nuclio restarts the container).
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from agss_model.errors import ConfigError
from serverless.local.function_file import FunctionFile
from serverless.local.worker import Worker, WorkerDiedError, WorkerSlowError

_GLANCE = 0.5  # seconds after which one who waits for a worker looks whether there is still something to wait for


def plain(status: int, body: str, content_type: str = "text/plain") -> dict[str, Any]:
    """A response of the server's own, in the fields of Nuclio's response message."""
    return {"status_code": status, "body": body, "content_type": content_type, "headers": {}, "body_encoding": "text"}


class Pool:
    """Worker processes in a queue.

    Attributes:
        workers: all of them, ready or not.
    """

    def __init__(self, function: FunctionFile, environment: Mapping[str, str], log: Callable[[str], None]) -> None:
        self.function, self._log = function, log
        variables = {**function.environment, **environment}
        self.workers = [Worker(number, function.handler, variables) for number in range(function.workers)]
        self._free: queue.Queue[Worker] = queue.Queue()
        self._closed = threading.Event()

    @property
    def ready(self) -> bool:
        """Whether every worker can take an event."""
        return all(worker.ready for worker in self.workers)

    def start(self) -> None:
        """Start the workers and wait for them.

        Raises:
            ConfigError: one cannot start, with its reason.
        """
        for worker in self.workers:
            worker.start()
        end = time.monotonic() + self.function.readiness_timeout
        for worker in self.workers:
            if problem := worker.wait(max(0.0, end - time.monotonic())):
                self.close()
                raise ConfigError(f"Worker {worker.number} did not start: {problem}")
            self._free.put(worker)

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Let the next free worker answer; the fields of Nuclio's response message."""
        worker = self._next()
        if worker is None:
            return plain(503, "")
        try:
            response = worker.call(event, self.function.event_timeout)
        except WorkerSlowError:
            self._replace(worker, f"worker {worker.number} took longer than {self.function.event_timeout} s")
            return plain(408, json.dumps({"error": "handler timed out"}), "application/json")
        except WorkerDiedError:
            self._replace(worker, f"worker {worker.number} ended in a request")
            return plain(500, json.dumps({"error": "the worker process ended"}), "application/json")
        self._free.put(worker)
        return response

    def _next(self) -> Worker | None:
        """A free worker that lives, or None when there is none in time."""
        end = time.monotonic() + self.function.worker_wait
        while not self._closed.is_set():
            left = max(0.0, end - time.monotonic())
            try:
                worker = self._free.get(timeout=min(left, _GLANCE))
            except queue.Empty:
                if left > _GLANCE:
                    continue
                return None
            if worker.alive:
                return worker
            self._replace(worker, f"worker {worker.number} had ended")
        return None

    def close(self) -> None:
        """End all workers."""
        self._closed.set()
        for worker in self.workers:
            worker.stop()

    def _replace(self, worker: Worker, why: str) -> None:
        self._log(f"{why}; it is started again")
        worker.ready = False
        threading.Thread(target=self._restart, args=(worker,), daemon=True).start()

    def _restart(self, worker: Worker) -> None:
        wait = 1.0
        while not self._closed.is_set():
            worker.stop()
            worker.start()
            problem = worker.wait(self.function.readiness_timeout)
            if self._closed.is_set():
                worker.stop()
            elif problem is None:
                self._free.put(worker)
                return
            else:
                self._log(f"worker {worker.number} did not start again: {problem}; next try in {wait:.0f} s")
                self._closed.wait(wait)
                wait = min(60.0, 2 * wait)
