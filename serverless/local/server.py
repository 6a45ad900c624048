"""The function without Docker: a server that behaves as Nuclio's processor does, set up by the same function.yaml.

uvicorn speaks HTTP; this module says what is answered. A body above the limit is 400, one for which memory is lacking
503; `serverless.local.pool` has the others. The server also answers the two requests with which CVAT looks for
functions, so that a small team needs no Nuclio dashboard.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from agss_model.bounded_json import values_in
from serverless.function.contract import MAX_VALUES
from serverless.local.connection import MAX_CONNECTIONS, READ_SECONDS, BoundedConnection
from serverless.local.function_file import FunctionFile
from serverless.local.pool import Pool, plain

HEALTH = "/__internal/health"
CATALOGUE = "/api/functions"
HEADER_LIMIT = 16 << 10
HELD_BYTES = 1 << 30
"""Limit on all bodies being read or waiting for a worker; one body of the file's limit always has room."""
TOO_MANY = f"The JSON holds more values than the {MAX_VALUES} that are taken."
GRACE = 30
"""Seconds that requests in flight get at the end where the file limits none."""

Response = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class ByteBudget:
    """So many bytes, taken as they arrive and given back together."""

    def __init__(self, size: int) -> None:
        self.free = size

    def take(self, size: int) -> bool:
        """Whether there was room, which is then taken."""
        fits = size <= self.free
        self.free -= size if fits else 0
        return fits


class Application:
    """What is answered; an ASGI application.

    Attributes:
        budget: for the bodies of requests.
    """

    def __init__(self, function: FunctionFile, pool: Pool) -> None:
        self.function, self.pool = function, pool
        self.budget = ByteBudget(max(HELD_BYTES, function.body_limit))
        self._threads = ThreadPoolExecutor(MAX_CONNECTIONS)  # each waits for a worker

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_LIMIT:
            return await _send(send, plain(431, ""), close=True)
        if scope["path"].startswith(HEALTH):
            return await _send(send, plain(200 if self.pool.ready else 503, ""))
        if scope["method"] == "GET" and scope["path"].startswith(CATALOGUE):
            return await _send(send, self._catalogue(scope))
        headers = {name.decode("latin-1").title(): value.decode("latin-1") for name, value in scope["headers"]}
        if "Transfer-Encoding" in headers:
            return await _send(send, plain(411, "Send the body with its Content-Length."), close=True)
        if int(headers.get("Content-Length", "0")) > self.function.body_limit:
            return await _send(send, plain(400, "Error when parsing request"), close=True)
        body = bytearray()
        try:
            refused = await asyncio.wait_for(self._read(receive, body), READ_SECONDS)
            if refused is not None:
                return await _send(send, refused, close=True)
            if values_in(body) > MAX_VALUES:  # a worker parses before its handler can look
                return await _send(send, plain(413, json.dumps({"error": TOO_MANY}), "application/json"))
            event = _event(scope, headers, bytes(body))
            answer = asyncio.get_running_loop().run_in_executor(self._threads, self.pool.answer, event)
            return await _send(send, await answer)
        except asyncio.TimeoutError:
            return await _send(send, plain(408, ""), close=True)
        finally:
            self.budget.free += len(body)

    async def _read(self, receive: Receive, body: bytearray) -> Response | None:
        """Collect the body; what to answer where that is not possible."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return plain(400, "")
            chunk = message.get("body", b"")
            if not self.budget.take(len(chunk)):
                return plain(503, "")
            body += chunk
            if not message.get("more_body"):
                return None

    def _catalogue(self, scope: Mapping[str, Any]) -> Response:
        """The function as Nuclio's dashboard describes it to CVAT."""
        metadata = dict(self.function.document["metadata"])
        notes = {name: "" if value is None else str(value) for name, value in metadata["annotations"].items()}
        described = {
            "metadata": {**metadata, "annotations": notes},
            "spec": self.function.document["spec"],
            "status": {"state": "ready" if self.pool.ready else "building", "httpPort": scope["server"][1]},
        }
        wanted, name = scope["path"][len(CATALOGUE) :].strip("/"), self.function.name
        if wanted not in ("", name):
            return plain(404, json.dumps({"error": f"No function is called {wanted}."}), "application/json")
        return plain(200, json.dumps(described if wanted else {name: described}), "application/json")


class LocalServer:
    """A port, taken at once, and what answers there.

    Attributes:
        application: what answers.
        port: of the server.
    """

    def __init__(self, address: tuple[str, int], function: FunctionFile, pool: Pool) -> None:
        """Take the port; clients wait until `serve`.

        Raises:
            OSError: it is taken, or not ours to take.
        """
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.create_server(address, family=family, backlog=MAX_CONNECTIONS)
        self.port: int = self._socket.getsockname()[1]
        self.application = Application(function, pool)
        settings = uvicorn.Config(
            self.application,
            http=BoundedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            backlog=MAX_CONNECTIONS,
            h11_max_incomplete_event_size=4 * HEADER_LIMIT,
            timeout_graceful_shutdown=int(function.event_timeout or GRACE),
        )
        self._server = uvicorn.Server(settings)

    def serve(self) -> None:
        """Answer until `stop`, SIGINT or SIGTERM; then requests in flight are answered, and new ones refused."""
        self._server.run([self._socket])

    def stop(self) -> None:
        """Let `serve` end; from any thread."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the port back where `serve` was not called."""
        self._socket.close()


def _event(scope: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The fields of Nuclio's event message."""
    query = scope["query_string"].decode("latin-1")
    return {
        "body": body,
        "content_type": headers.get("Content-Type", ""),
        "trigger": {"kind": "http", "name": "http"},
        "fields": {},
        "headers": dict(headers),
        "id": uuid.uuid4().hex,
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
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


async def _send(send: Send, response: Response, *, close: bool = False) -> None:
    text = response["body"]
    body = b64decode(text) if response.get("body_encoding") == "base64" else text.encode()
    headers = {"Content-Type": response["content_type"], "Content-Length": str(len(body))}
    headers |= {n: v for n, v in response["headers"].items() if isinstance(v, str)}  # Nuclio drops the others, too
    if close:
        headers["Connection"] = "close"
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": int(response["status_code"]), "headers": pairs})
    await send({"type": "http.response.body", "body": body})
