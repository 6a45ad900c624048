"""Several runs on one dataset: who is at which clip, noted in the database.

A claim is a lease. A thread renews it while its process lives, so that the clips of a worker that was killed are free
again after `LEASE`; at once, where it was on this machine. All times are the database's, as clocks of workers differ.
"""

from __future__ import annotations

import calendar
import logging
import os
import socket
import threading
from types import TracebackType
from typing import Any

import psutil
import pymongo
import pymongo.collection
from bson import ObjectId
from fiftyone.core.odm.database import get_db_conn
from pymongo.errors import DuplicateKeyError, PyMongoError

from fiftyone_plugin.data.clips import Clip

logger = logging.getLogger(__name__)
COLLECTION = "agss_vos_claims"
LEASE = 30_000
"""Milliseconds until the clip of a worker that does not answer is free."""
RENEWED = 5.0
"""Seconds between two renewals."""
KEPT = 24 * 3600 * 1000
"""Milliseconds after which a note about a clip is forgotten."""
NOW = {"$toLong": "$$NOW"}


class Claims:
    """What one run claims."""

    def __init__(self, scope: str, work: str) -> None:
        """Nothing is claimed yet.

        Args:
            scope: dataset and field; runs of one scope never work on one clip at once.
            work: changes with all settings; what another run did counts only if it had the same.

        Raises:
            PyMongoError: the database cannot be written.
        """
        database = get_db_conn()
        self._notes = database[COLLECTION]
        self._scope, self._work = scope, work
        self._owner = f"{socket.gethostname()} {os.getpid()} {ObjectId()}"
        now = database.command("hello")["localTime"]
        self._began = calendar.timegm(now.utctimetuple()) * 1000 + now.microsecond // 1000
        old = self._began - KEPT
        self._notes.delete_many({"until": {"$lt": old}, "done": {"$not": {"$gte": old}}})

    def take(self, clip: Clip) -> Claim | None:
        """Claim a clip; None where another run is at it.

        Raises:
            PyMongoError: the database cannot be written.
        """
        key = f"{self._scope} {clip.key} {clip.first} {clip.last}"
        try:
            self._notes.update_one({"_id": key}, {"$setOnInsert": {"until": 0}}, upsert=True)
        except DuplicateKeyError:  # another run noted it in this moment
            logger.debug("%s is noted already", key)
        earlier = self._claim(key)
        if earlier is None and self._freed(key):
            earlier = self._claim(key)
        if earlier is None:
            return None
        done = earlier.get("work") == self._work and earlier.get("done", 0) > self._began
        return Claim(clip, self._notes, key, self._owner, self._work, done=done)

    def _claim(self, key: str) -> dict[str, Any] | None:
        """The note as it was, where it is ours now."""
        free = {"_id": key, "$expr": {"$lt": ["$until", NOW]}}
        ours = [{"$set": {"owner": self._owner, "until": {"$add": [NOW, LEASE]}}}]
        found: dict[str, Any] | None = self._notes.find_one_and_update(
            free, ours, return_document=pymongo.ReturnDocument.BEFORE
        )
        return found

    def _freed(self, key: str) -> bool:
        """Whether a worker of this machine had it and is no more."""
        note = self._notes.find_one({"_id": key}) or {}
        owner = str(note.get("owner", ""))
        host, _, rest = owner.partition(" ")
        if host != socket.gethostname() or psutil.pid_exists(int(rest.split()[0])):
            return False
        return bool(self._notes.update_one({"_id": key, "owner": owner}, {"$set": {"until": 0}}).modified_count)


class Claim:
    """A clip that is this run's while the `with` block lasts.

    Attributes:
        clip: which one.
        done: whether another run did the same work on it since this one began.
        finished: to be set when the work is done.
        lost: whether another run has taken it, as this process did not answer for too long.
    """

    def __init__(
        self, clip: Clip, notes: pymongo.collection.Collection[Any], key: str, owner: str, work: str, *, done: bool
    ) -> None:
        self.clip, self.done, self.finished, self.lost = clip, done, False, False
        self._notes, self._work, self._mine = notes, work, {"_id": key, "owner": owner}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Claim:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        done: dict[str, object] = {"work": self._work, "done": NOW} if self.finished else {}
        try:
            self._notes.update_one(self._mine, [{"$set": {"until": 0, **done}}])
        except PyMongoError:  # the lease ends by itself
            logger.warning("the claim of %s could not be given back", self.clip.name)

    def _renew(self) -> None:
        while not self._over.wait(RENEWED):
            try:
                found = self._notes.update_one(self._mine, [{"$set": {"until": {"$add": [NOW, LEASE]}}}])
            except PyMongoError:  # tried again, while the lease lasts
                continue
            if not found.matched_count:
                self.lost = True
                return
