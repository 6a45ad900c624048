"""Slow and dishonest clients beside honest ones, at the command as people start it: everybody honest is answered.

`AGSS_HONEST=300 pytest -s tests/serverless/local/test_slow_clients.py` is the long form.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from function_client import Clip, picture

HONEST = int(os.environ.get("AGSS_HONEST", "12"))
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
HIDDEN = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
FORMS = [
    HEAD + b"Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}" + HIDDEN,
    HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    HEAD + b"Content-Length: +2\r\n\r\n{}" + HIDDEN,
    HEAD + b"X\r\n\r\n" + HIDDEN,
    HEAD + b"\x00: a\r\n\r\n" + HIDDEN,
    b"GET /api/functions HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n" + HIDDEN,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64),
    HEAD + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n",
]


@pytest.fixture
def address():
    command = [Path(sys.executable).with_name("agss"), "serve", "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield "127.0.0.1", int(re.search(r"http://\S+:(\d+)", process.stdout.readline())[1])
        finally:
            process.terminate()
            process.wait(60)


class Crowd:
    """Threads that do something bad until the end."""

    def __init__(self, address, *bad):
        self.over, self.sent, self.smuggled = threading.Event(), 0, []
        self.threads = [threading.Thread(target=self._again, args=(address, one), daemon=True) for one in bad]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.smuggled

    def _again(self, address, bad):
        while not self.over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(address, timeout=20) as client:
                self.smuggled += bad(client, self.over) or []
                self.sent += 1


def drip(client, over):
    """Announce more than is ever sent, and send a byte now and then."""
    client.sendall(HEAD + b"Content-Length: 201326592\r\n\r\n" + b'{"image": "' + b"A" * 100_000)
    while not over.wait(0.5):
        client.sendall(b"A")


def drip_headers(client, over):
    client.sendall(HEAD)
    while not over.wait(0.5):
        client.sendall(b"X-A: b\r\n")


def smuggle(client, over):
    """Requests that two servers could read in two ways; those whose hidden part was answered come back."""
    through = []
    for form in FORMS:
        with contextlib.suppress(OSError), socket.create_connection(client.getpeername(), timeout=20) as other:
            other.sendall(form)
            other.shutdown(socket.SHUT_WR)
            reply = b""
            while piece := other.recv(65536):
                reply += piece
            if reply.count(b"HTTP/1.1 ") > 1 or (b"HTTP/1.1 200" in reply and not form.startswith(b"GET")):
                through.append((form, reply))
    over.wait(0.5)
    return through


def hang_up(client, over):
    client.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n{")
    over.wait(0.2)


@pytest.mark.slow
@pytest.mark.timeout(300 + 5 * HONEST)
def test_no_honest_request_is_refused_because_of_others(address):
    clip = Clip(2)

    def ask(message):
        connection = http.client.HTTPConnection(*address, timeout=120)
        began = time.perf_counter()
        connection.request("POST", "/", json.dumps(message), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        assert reply.status == 200, (reply.status, text[:300])
        return json.loads(text), time.perf_counter() - began

    def track(number):
        start, _ = ask({"image": picture(clip.frame(0)), "shapes": clip.shapes(0), "states": []})
        states, answers, seconds = start["states"], [], []
        for t in range(1, number + 1):
            reply, took = ask({"image": picture(clip.frame(t % 20)), "shapes": [None] * 2, "states": states})
            states = reply["states"]
            answers.append(reply["shapes"])
            seconds.append(took)
        return answers, sorted(seconds)

    alone, quiet = track(HONEST)
    with Crowd(address, *[drip] * 4, drip_headers, smuggle, hang_up) as crowd:
        among, crowded = track(HONEST)
    assert among == alone
    told = [f"half within {times[len(times) // 2]:.2f} s, all within {times[-1]:.2f} s" for times in (quiet, crowded)]
    print(f"{HONEST} requests: alone {told[0]}; among bad clients {told[1]}, who came {crowd.sent} times")
