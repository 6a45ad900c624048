"""The function without Docker: a server that behaves as Nuclio's processor does, set up by the same function.yaml.

Worker processes take turns, first come first served. A body above the limit is 400; no free worker in time is 503, and
so is a body for which memory is lacking; a request that takes too long is 408 and its worker is replaced; a worker that
dies in a request is 500. Beyond Nuclio: a worker that ends is replaced while the others go on (Nuclio restarts the
container), and the server answers the two requests with which CVAT looks for functions, so that a small team needs no
Nuclio dashboard.
"""

from __future__ import annotations

import json
import queue
import re
import socket
import threading
import time
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agss_model.errors import ConfigError
from serverless.local.function_file import FunctionFile
from serverless.local.worker import Worker, WorkerDiedError, WorkerSlowError

HEALTH = "/__internal/health"
CATALOGUE = "/api/functions"
HEADER_LIMIT = 16 << 10
READ_SECONDS = 60.0
HELD_BYTES = 1 << 30
"""Of bodies being read or waiting for a worker, all together; one body of the file's limit always has room."""


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
            return _plain(503, "")
        try:
            response = worker.call(event, self.function.event_timeout)
        except WorkerSlowError:
            self._replace(worker, f"worker {worker.number} took longer than {self.function.event_timeout} s")
            return _plain(408, json.dumps({"error": "handler timed out"}), "application/json")
        except WorkerDiedError:
            self._replace(worker, f"worker {worker.number} ended in a request")
            return _plain(500, json.dumps({"error": "the worker process ended"}), "application/json")
        self._free.put(worker)
        return response

    def _next(self) -> Worker | None:
        """A free worker that lives, or None when there is none in time."""
        end = time.monotonic() + self.function.worker_wait
        while True:
            try:
                worker = self._free.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return None
            if worker.alive:
                return worker
            self._replace(worker, f"worker {worker.number} had ended")

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


class Room:
    """So many bytes, of which requests take a share while they are here."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._lock = threading.Lock()

    @contextmanager
    def share(self, size: int) -> Iterator[bool]:
        """Whether there was room; it is given back at the end."""
        with self._lock:
            taken = size if size <= self._free else 0
            fits = taken == size
            self._free -= taken
        try:
            yield fits
        finally:
            with self._lock:
                self._free += taken


class LocalServer(ThreadingHTTPServer):
    """HTTP in front of a pool.

    Attributes:
        function: what is served.
        pool: its workers, started.
        room: for the bodies of requests.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], function: FunctionFile, pool: Pool) -> None:
        self.function, self.pool = function, pool
        self.room = Room(max(HELD_BYTES, function.body_limit))
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def described(self) -> dict[str, Any]:
        """The function as Nuclio's dashboard describes it to CVAT."""
        metadata = dict(self.function.document["metadata"])
        notes = {name: "" if value is None else str(value) for name, value in metadata["annotations"].items()}
        return {
            "metadata": {**metadata, "annotations": notes},
            "spec": self.function.document["spec"],
            "status": {"state": "ready" if self.pool.ready else "building", "httpPort": self.server_port},
        }


class _Handler(BaseHTTPRequestHandler):
    server: LocalServer
    protocol_version = "HTTP/1.1"
    server_version = "agss"
    timeout = READ_SECONDS

    def _serve(self) -> None:
        if len(self.requestline) + len(str(self.headers)) > HEADER_LIMIT:
            self.close_connection = True
            return self._send(_plain(431, ""))
        if self.path.startswith(HEALTH):
            return self._send(_plain(200 if self.server.pool.ready else 503, ""))
        if self.command == "GET" and self.path.split("?")[0].rstrip("/").startswith(CATALOGUE):
            return self._send(self._catalogue())
        length = self.headers.get("Content-Length", "0")
        if not re.fullmatch(r"[0-9]{1,15}", length) or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return self._send(_plain(411, "Send the body with its Content-Length."))
        if int(length) > self.server.function.body_limit:
            self.close_connection = True
            return self._send(_plain(400, "Error when parsing request"))
        with self.server.room.share(int(length)) as fits:
            if not fits:
                self.close_connection = True
                return self._send(_plain(503, ""))
            return self._answer(int(length))

    def _answer(self, length: int) -> None:
        try:
            body = self.rfile.read(length)
        except OSError:
            body = b""
        if len(body) < length:
            self.close_connection = True
            return
        self._send(self.server.pool.answer(self._event(body)))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

    def _catalogue(self) -> dict[str, Any]:
        described, wanted = self.server.described(), self.path.split("?")[0][len(CATALOGUE) :].strip("/")
        name = self.server.function.name
        if wanted not in ("", name):
            return _plain(404, json.dumps({"error": f"No function is called {wanted}."}), "application/json")
        return _plain(200, json.dumps(described if wanted else {name: described}), "application/json")

    def _event(self, body: bytes) -> dict[str, Any]:
        return {
            "body": body,
            "content_type": self.headers.get("Content-Type", ""),
            "trigger": {"kind": "http", "name": "http"},
            "fields": {},
            "headers": dict(self.headers.items()),
            "id": uuid.uuid4().hex,
            "method": self.command,
            "path": self.path,
            "size": len(body),
            "timestamp": int(time.time()),
            "url": "",
            "shard_id": -1,
            "num_shards": 0,
            "type": "",
            "type_version": "",
            "version": "",
            "offset": 0,
            "topic": "",
        }

    def _send(self, response: Mapping[str, Any]) -> None:
        text = response["body"]
        body = b64decode(text) if response.get("body_encoding") == "base64" else text.encode()
        try:
            self.send_response(int(response["status_code"]))
            self.send_header("Content-Type", response["content_type"])
            self.send_header("Content-Length", str(len(body)))
            for name, value in response["headers"].items():
                if isinstance(value, str):  # Nuclio drops the others, too
                    self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")
        except OSError:
            self.close_connection = True  # the client is gone

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the function logs what it answers."""


def _plain(status: int, body: str, content_type: str = "text/plain") -> dict[str, Any]:
    return {"status_code": status, "body": body, "content_type": content_type, "headers": {}, "body_encoding": "text"}
