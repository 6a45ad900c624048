"""Features shared by replicas through Redis, which never holds a request up and is never believed.

Every call is made in a thread beside the request, which waits 0.1 s in all and no longer, whatever the server does, or
the look-up of its name: closed, paused, full, or sending a byte now and then. What comes out counts only if its digest,
keyed with a secret of the deployment, fits the name it was asked for.
"""

from __future__ import annotations

import hashlib
import hmac
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from serverless.function.redis_client import RedisClient

REDIS_SLOTS = 128
"""Entries that Redis holds at most; a new one takes the place of another."""
REDIS_ENTRY_BYTES = 1_500_000
"""Largest entry; larger ones stay in the process that made them."""
REDIS_SECONDS = 900
PATIENCE = 0.1
"""Seconds that one request waits for Redis, all its calls together; with what lies around a quarter of one is lost."""
PAUSE = 30.0
"""Seconds without Redis after a failure."""
_MAC = 32


class RedisStore:
    """A `serverless.function.cache.FarStore` in Redis.

    An entry's place follows from its name, and its digest covers the name: what another name left there is a miss.
    """

    def __init__(self, client: Any, network: str, log: Callable[[str], None], secret: str = "") -> None:  # noqa: ANN401
        """Prepare; the server is not contacted yet.

        Args:
            client: `RedisClient`, or another with its two commands, such as redis-py's.
            network: its `fingerprint`; others' entries are not seen.
            log: told once when Redis fails.
            secret: that replicas share; without one, damage is noticed but not malice.
        """
        self._client, self._network, self._log = client, network, log
        self._key = hashlib.sha256(f"agss-vos {network} {secret}".encode()).digest()
        self._aside = _BackgroundThread()
        self._silent_until = 0.0
        self._patience = PATIENCE

    def begin(self) -> None:
        """A new request has its whole patience."""
        self._patience = PATIENCE

    def get(self, name: str) -> bytes | None:
        """The bytes under a name; None for none, or while Redis cannot be reached."""
        if self._silent or self._patience <= 0:
            return None
        began = time.monotonic()
        try:
            stored = self._aside.ask(
                lambda: self._client.getrange(self._slot(name), 0, _MAC + REDIS_ENTRY_BYTES), self._patience
            )
        except Exception as error:
            self._fail(error)
            return None
        finally:
            self._patience -= time.monotonic() - began
        if not isinstance(stored, bytes) or not hmac.compare_digest(stored[:_MAC], self._mac(name, stored[_MAC:])):
            return None
        return stored[_MAC:]

    def put(self, name: str, value: bytes) -> None:
        """Keep bytes for a quarter of an hour at most; nobody waits for it."""
        if self._silent or len(value) > REDIS_ENTRY_BYTES:
            return
        entry = self._mac(name, value) + value
        self._aside.tell(lambda: self._client.set(self._slot(name), entry, ex=REDIS_SECONDS), self._fail)

    @property
    def _silent(self) -> bool:
        return time.monotonic() < self._silent_until

    def _fail(self, error: Exception) -> None:
        """Do without Redis for a while."""
        if self._silent:
            return
        self._silent_until = time.monotonic() + PAUSE
        self._log(f"Redis does not answer ({type(error).__name__}); going on without it for {PAUSE:.0f} s.")

    def _mac(self, name: str, value: bytes) -> bytes:
        return hashlib.blake2b(self._label(name) + value, digest_size=_MAC, key=self._key).digest()

    def _label(self, name: str) -> bytes:
        return hashlib.sha256(f"{self._network} {name}".encode()).digest()

    def _slot(self, name: str) -> str:
        return f"agss-vos:{int.from_bytes(self._label(name)[:4], 'big') % REDIS_SLOTS}"


class _BackgroundThread:
    """A thread that makes one call after another, and never keeps the process from ending."""

    def __init__(self) -> None:
        self._calls: queue.Queue[tuple[Callable[[], Any], Callable[[Any, Exception | None], None]]] = queue.Queue(8)
        self._started = threading.Lock()

    def ask(self, call: Callable[[], Any], seconds: float) -> Any:  # noqa: ANN401 - whatever the call gives
        """What a call gives, or raises; TimeoutError where it takes too long."""
        answers: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()
        self._begin(call, lambda value, error: answers.put((value, error)))
        try:
            value, error = answers.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        if error is not None:
            raise error
        return value

    def tell(self, call: Callable[[], Any], failed: Callable[[Exception], None]) -> None:
        """Make a call some time soon; where too many are waiting it is left out."""

        def ended(_: object, error: Exception | None) -> None:
            if error is not None:
                failed(error)

        try:
            self._begin(call, ended)
        except TimeoutError:
            return

    def _begin(self, call: Callable[[], Any], ended: Callable[[Any, Exception | None], None]) -> None:
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._run, daemon=True).start()
        try:
            self._calls.put_nowait((call, ended))
        except queue.Full:
            raise TimeoutError from None

    def _run(self) -> None:
        while True:
            call, ended = self._calls.get()
            try:
                value, error = call(), None
            except Exception as raised:
                value, error = None, raised
            ended(value, error)


def connect_redis(host: str, port: int, network: str, log: Callable[[str], None], secret: str = "") -> RedisStore:
    """A store in the Redis that CVAT names to its functions; it is not contacted yet."""
    return RedisStore(RedisClient(host, port, PATIENCE), network, log, secret)
