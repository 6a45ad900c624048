"""A local web server for tests of the button: the fake page, and CVAT's lambda endpoint as far as trackers use it.

It keeps CVAT's rules: sign-in cookie and CSRF header, the frame must lie in the job, shapes pass unvalidated, a missing
or null `states` means init, states are signed and those of others are refused, and of a failing function only the
status line remains. Behind it runs a tracker that moves masks.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from agss_model.masks import decode_cvat_mask, encode_cvat_mask

FAKE = Path(__file__).parent / "fake"
SCRIPT = Path(__file__).parents[3] / "serverless" / "cvat_ui" / "agss-vos.js"
TYPES = {".html": "text/html", ".js": "application/javascript", ".css": "text/css"}
FUNCTION = {
    "id": "agss-vos", "kind": "tracker", "labels_v2": [], "description": "Tracks all objects", "name": "AGSS-VOS",
    "version": 1, "supported_shape_types": ["mask", "polygon", "rectangle"],
}  # fmt: skip
REASONS = {
    400: "Client Error: Bad Request", 413: "Client Error: Request Entity Too Large", 422: "Client Error: Unprocessable",
    500: "Server Error: Internal Server Error", 503: "Server Error: Service Unavailable",
    504: "Server Error: Gateway Timeout",
}  # fmt: skip
TOKEN = "token-of-this-page"  # noqa: S105 - of a page that exists only in tests


class ButtonServer:
    """What a test may set: `functions`, `track`, `failures`, `delay`, `stills`; what it may read: `calls`."""

    def __init__(self, width: int = 64, height: int = 48) -> None:
        self.width, self.height = width, height
        self.functions: list[dict] = [dict(FUNCTION)]
        self.calls: list[dict] = []
        self.failures: dict[int, list[int | str]] = {}  # frame -> what its next calls get
        self.delay = 0.0
        self.first, self.last = 0, 10_000  # frames of the job
        self.stills: Callable[[int], np.ndarray] = lambda _: np.full((height, width, 3), 90, np.uint8)
        self.track: Callable[[int, int, np.ndarray], np.ndarray | None] = move_right
        self.csp = "script-src 'self'"
        self._key = b"signing key of this test"
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    # -- the function behind CVAT

    def answer(self, message: dict) -> dict:
        """What the function says; states hold which object of which start this is, and how many frames ago."""
        states = message.get("states") or []
        if not states:
            shapes = message["shapes"]
            return {"states": [{"object": i, "age": 0, "points": s["points"]} for i, s in enumerate(shapes)]}
        out: dict[str, list] = {"shapes": [], "states": []}
        for state in states:
            mask = decode_cvat_mask(state["points"], width=self.width, height=self.height)
            moved = self.track(state["object"], message["frame"], mask)
            points = None if moved is None or not moved.any() else encode_cvat_mask(moved)
            out["shapes"].append(points and {"type": "mask", "points": points})
            # A lost object keeps its last mask, so that it may be found again.
            out["states"].append({**state, "age": state["age"] + 1, "points": points or state["points"]})
        return out

    # -- CVAT

    def call(self, function: str, message: dict) -> tuple[int, str]:
        self.calls.append(message)
        time.sleep(self.delay)
        if function not in {entry["id"] for entry in self.functions}:
            return 404, '"404 Client Error: Not Found for url"'
        if "task" not in message and "job" not in message:
            return 400, '"One of task or job is required"'
        if not self.first <= message["frame"] <= self.last:
            return 400, f'"the frame {message["frame"]} does not belong to the job"'
        planned = self.failures.get(message["frame"], [])
        if planned:
            failure = planned.pop(0)
            if isinstance(failure, str):
                return 200, failure
            return failure, f'"{failure} {REASONS[failure]} for url: http://host.docker.internal:49155/"'
        try:
            opened = [self.open(state) for state in message.get("states") or []]
        except ValueError:
            return 400, '"Invalid or expired tracker state"'
        reply = self.answer({**message, "states": opened})
        reply["states"] = [self.sign(state) for state in reply["states"]]
        return 200, json.dumps(reply)

    def sign(self, state: dict) -> str:
        value = f"{json.dumps(state)}:{int(time.time())}"
        return f"{value}:{self._signature(value)}"

    def open(self, signed: str) -> dict:
        value, _, signature = signed.rpartition(":")
        if not hmac.compare_digest(signature, self._signature(value)):
            raise ValueError(signed)
        return json.loads(value.rpartition(":")[0])

    def _signature(self, value: str) -> str:
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        return type("Handler", (Requests,), {"server_of_test": self})


class Requests(BaseHTTPRequestHandler):
    """One request to a `ButtonServer`."""

    server_of_test: ButtonServer

    def log_message(self, *_: object) -> None:
        pass

    def send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", self.server_of_test.csp)
        self.send_header("Set-Cookie", f"csrftoken={TOKEN}; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        name = self.path.partition("?")[0]
        if name == "/api/lambda/functions":
            self.send(200, "application/json", json.dumps(self.server_of_test.functions).encode())
        elif name.startswith("/frames/"):
            buffer = io.BytesIO()
            Image.fromarray(self.server_of_test.stills(int(name.rpartition("/")[2]))).save(buffer, "PNG")
            self.send(200, "image/png", buffer.getvalue())
        else:
            self.send_file(SCRIPT if name == "/agss-vos.js" else FAKE / ("index.html" if name == "/" else name[1:]))

    def send_file(self, path: Path) -> None:
        if not path.is_file():
            self.send(404, "text/plain", b"")
            return
        body = path.read_bytes()
        if path.suffix == ".html":  # What the nginx rule does.
            body = body.replace(b"</body>", b'<script src="/agss-vos.js" defer></script></body>')
        self.send(200, TYPES[path.suffix], body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("X-CSRFTOKEN") != TOKEN or TOKEN not in self.headers.get("Cookie", ""):
            self.send(403, "application/json", b'"CSRF Failed: CSRF token missing."')
            return
        status, text = self.server_of_test.call(self.path.rpartition("/")[2], json.loads(body))
        self.send(status, "application/json", text.encode())


def move_right(_: int, __: int, mask: np.ndarray) -> np.ndarray:
    """Two pixels a frame, out of the picture in the end."""
    moved = np.zeros_like(mask)
    moved[:, 2:] = mask[:, :-2]
    return moved
