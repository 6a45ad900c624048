"""Answers of a CVAT server that have no end, in bytes or in time, or become one when they are unpacked: all are cut."""

from __future__ import annotations

import contextlib
import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fake_cvat import TOKEN, USER

from agss_model.cvat.server import strict
from agss_model.cvat.server.client import CvatError, connect

MIB = 1 << 20
MUCH = 64 * MIB


class Endless(ThreadingHTTPServer):
    """Tells its version; every other answer is of one form, as long as anybody reads."""

    daemon_threads = True

    def __init__(self, form: str, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.form, self.status, self.taken, self.asked = form, status, 0, 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.over = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endless

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/api/server/about"):
            return self._whole(200, b'{"version": "2.73.1"}')
        self.server.asked += 1
        if self.server.form in ("drip", "drip headers"):
            return self._drip(b"X-A: b\r\n" if self.server.form == "drip headers" else b"\r\n ")
        if self.server.form == "gzip":
            return self._whole(self.server.status, gzip.compress(b" " * MUCH), ("Content-Encoding", "gzip"))
        self.send_response(self.server.status)
        announced = ("Content-Length", str(MUCH)) if self.server.form == "length" else ("Transfer-Encoding", "chunked")
        self.send_header(*announced)
        self.end_headers()
        piece = b" " * MIB
        framed = piece if self.server.form == "length" else b"100000\r\n" + piece + b"\r\n"
        self.close_connection = True
        with contextlib.suppress(OSError):
            for _ in range(MUCH // MIB):
                self.wfile.write(framed)
                self.server.taken += MIB
        return self.server.over.set()

    def _drip(self, more: bytes) -> None:
        """A little now and then, until nobody reads any more."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n")
        with contextlib.suppress(OSError):
            while not self.server.over.wait(0.05):
                self.wfile.write(more)

    def _whole(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for header in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = _answer


@pytest.fixture
def endless(monkeypatch):
    monkeypatch.setattr(strict, "MOST_BYTES", MIB)
    with contextlib.ExitStack() as stack:

        def start(form: str, status: int = 200) -> Endless:
            server = stack.enter_context(Endless(form, status))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            stack.callback(server.shutdown)
            stack.callback(server.over.set)
            return server

        yield start


def asks(server):
    return {
        "get": lambda: server.get("/api/jobs/1"),
        "frame": lambda: server.frame(1, 0),
        "patch": lambda: server.patch("/api/jobs/1/annotations", {"shapes": []}, action="create"),
        "call": lambda: server.call("/api/lambda/functions/x", {"shapes": []}),
    }


@pytest.mark.parametrize("form", ["length", "chunked", "gzip"])
@pytest.mark.parametrize("kind", ["get", "frame", "patch", "call"])
def test_an_answer_that_is_too_long_is_cut_while_it_arrives(endless, form, kind):
    host = endless(form)
    with pytest.raises(CvatError, match="more than the 1 MiB that are taken"):
        asks(connect(host.url, token=TOKEN))[kind]()
    assert host.asked == 1  # and it is not asked for again
    if form != "gzip":
        assert host.over.wait(60)
        assert host.taken < MUCH / 2


@pytest.mark.parametrize("form", ["drip", "drip headers"])
@pytest.mark.parametrize("kind", ["get", "frame", "patch", "call"])
def test_an_answer_that_drips_is_given_up(endless, monkeypatch, form, kind):
    host = endless(form)
    server = connect(host.url, token=TOKEN)
    monkeypatch.setattr(strict, "MOST_SECONDS", 0.3)
    with pytest.raises(CvatError, match=r"had not ended after 0\.3 seconds"):
        asks(server)[kind]()
    assert host.asked <= 1


@pytest.mark.parametrize("form", ["length", "chunked", "gzip"])
def test_a_sign_in_that_is_answered_without_an_end_is_cut(endless, form):
    host = endless(form)
    with pytest.raises(CvatError, match="sign-in with more than the 1 MiB"):
        connect(host.url, login=USER)


@pytest.mark.parametrize("form", ["length", "chunked", "gzip"])
def test_an_error_without_an_end_is_the_error_it_is(endless, form):
    host = endless(form, 403)
    with pytest.raises(CvatError, match="may not use") as caught:
        connect(host.url, token=TOKEN).get("/api/jobs/1")
    assert caught.value.status == 403
    if form != "gzip":
        assert host.over.wait(60)
        assert host.taken < MUCH / 2


def test_the_bound_lets_through_what_cvat_sends():
    """A picture of the most pixels, 16 bits, as it is; the numbers of the longest job are counted apart."""
    from serverless.function.contract import MAX_PIXELS

    assert strict.MOST_BYTES > 2 * MAX_PIXELS * 3 * 2
