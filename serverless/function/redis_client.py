"""The two commands of Redis that are needed, each with a deadline over the whole of it.

A client of a whole Redis retries, negotiates, and reads whatever structure comes; a server that drips bytes or nests
replies then decides how long that takes. Here a reply is one string of bounded length, in time, or an error.
"""

from __future__ import annotations

import socket
import time

_LINE = 512
"""Characters of the first line of a reply, at most."""


class RedisError(Exception):
    """Redis says no, or something that is no answer; its own words stay out of messages."""


class RedisClient:
    """One connection, made when it is needed and given up after every failure; for one thread.

    Args:
        host: of the server.
        port: of it.
        seconds: that one command may take, connecting included.
    """

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self._address, self._seconds = (host, port), seconds
        self._socket: socket.socket | None = None
        self._deadline = 0.0

    def getrange(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` to `end` (included) of a value; nothing of one that is not there.

        Raises:
            RedisError: the server refuses, or sends something else.
            OSError: it cannot be reached, or not in time.
        """
        return self._command(end - start + 1, b"GETRANGE", key.encode(), b"%d" % start, b"%d" % end)

    def set(self, key: str, value: bytes, ex: int) -> None:
        """Keep a value for `ex` seconds; raises as `getrange` does."""
        self._command(0, b"SET", key.encode(), value, b"EX", b"%d" % ex)

    def close(self) -> None:
        """Give the connection up; the next command makes a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _command(self, most: int, *words: bytes) -> bytes:
        self._deadline = time.monotonic() + self._seconds
        try:
            connection = self._connection()
            message = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
            self._in_time(connection).sendall(b"*%d\r\n%b" % (len(words), message))
            return self._reply(connection, most)
        except BaseException:  # what is still to come must not be taken for the answer to another question
            self.close()
            raise

    def _connection(self) -> socket.socket:
        """The one there is, unless the server has closed it or said something unasked."""
        if self._socket is not None:
            self._socket.setblocking(False)
            try:
                self._socket.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return self._socket
            self.close()
        self._socket = socket.create_connection(self._address, self._seconds)
        return self._socket

    def _reply(self, connection: socket.socket, most: int) -> bytes:
        received = self._receive(connection, bytearray(), 3)
        while b"\r\n" not in received[:_LINE]:
            if len(received) >= _LINE:
                raise RedisError("a line without an end")
            self._receive(connection, received, len(received) + 1)
        line, _, rest = bytes(received).partition(b"\r\n")
        if line == b"+OK" and not rest and not most:
            return b""
        length = int(line[1:]) if line[:1] == b"$" and line[1:].isdigit() else most + 1
        if length > most:
            raise RedisError("no string of the length that was asked for")
        rest = bytes(self._receive(connection, bytearray(rest), length + 2))
        if len(rest) > length + 2 or not rest.endswith(b"\r\n"):
            raise RedisError("more than an answer")
        return rest[:length]

    def _receive(self, connection: socket.socket, received: bytearray, count: int) -> bytearray:
        """At least so many bytes, appended to what was received."""
        while len(received) < count:
            piece = self._in_time(connection).recv(1 << 16)
            if not piece:
                raise RedisError("the connection was closed")
            received += piece
        return received

    def _in_time(self, connection: socket.socket) -> socket.socket:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        connection.settimeout(left)
        return connection
