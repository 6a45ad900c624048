"""Servers that answer as no Redis should, and a real one in states in which no Redis should be."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import redis


def reply(data, *, drip=None, then_close=False):
    """A server's way with every connection: what it sends to whatever it is told, and how."""

    def serve(connection):
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                for piece in [data] if drip is None else [data[i : i + 1] for i in range(len(data))]:
                    connection.sendall(piece)
                    time.sleep(drip or 0)
                if then_close:
                    return

    return serve


BAD = {
    "paused": reply(b""),
    "dripping": reply(b"$1000000\r\n" + b"x" * 10_000, drip=0.05),
    "full": reply(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
    "OK to everything": reply(b"+OK\r\n"),
    "bad length": reply(b"$-77\r\n$abc\r\n"),
    "huge length": reply(b"$99999999999999\r\nxx"),
    "garbage": reply(b"\x00\xff HTTP/1.1 400\r\n\r\n" * 50),
    "deep": reply(b"*1\r\n" * 5000),
    "wide": reply(b"*100000\r\n" + b":1\r\n" * 100_000),
    "maps and pushes": reply(b">2\r\n%1\r\n+a\r\n:1\r\n" * 100),
    "endless line": reply(b"$" + b"1" * 5_000_000),
    "two answers": reply(b"$3\r\nabc\r\n" * 2),
    "late": reply(b"\r\n" * 20 + b"$3\r\nabc\r\n", drip=0.012),
    "hanging up": reply(b"", then_close=True),
}


@contextlib.contextmanager
def bad_server(state):
    """A port at which a server of `BAD`, or nothing ("closed"), is."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if state == "closed":
        listener.close()
        yield port
        return
    held = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                held.append(listener.accept()[0])
                threading.Thread(target=BAD[state], args=(held[-1],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield port
    for connection in (listener, *held):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


class RealRedis:
    """redis-server in a process of its own, on a free port, without files.

    Attributes:
        port: of it.
        client: of redis-py.
    """

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [shutil.which("redis-server"), *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.client = redis.Redis("127.0.0.1", self.port)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(redis.ConnectionError):
                self.client.ping()
                return
            time.sleep(0.05)
        raise AssertionError("redis-server did not start")

    def close(self):
        os.kill(self._process.pid, signal.SIGCONT)
        self._process.kill()
        self._process.wait()

    # -- states, each brought about before every request --------------------------------------------------------------

    def as_it_should_be(self, number):
        """Nothing."""

    def flushed(self, number):
        self.client.flushall()

    def full(self, number):
        self.client.config_set("maxmemory", 1)

    def stopped(self, number):
        os.kill(self._process.pid, signal.SIGSTOP)

    def writes_paused(self, number):
        self.client.execute_command("CLIENT", "PAUSE", 60_000, "ALL")

    def poisoned(self, number):
        """Every entry is that of another place, damaged, much too long, or no string."""
        keys = sorted(self.client.keys("agss-vos:*"))
        values = [value for key in keys if self.client.type(key) == b"string" and (value := self.client.get(key))]
        for place, key in enumerate(keys if values else []):
            value = values[(place + 1) % len(values)]
            self.client.delete(key)
            way = (place + number) % 4
            if way == 3:
                self.client.lpush(key, b"no string")
            else:
                self.client.set(key, [value, value[:-9] + b"\x00" * 9, value + b"x" * 5_000_000][way])
