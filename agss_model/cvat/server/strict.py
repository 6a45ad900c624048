"""What is taken from a CVAT server: no redirects, and answers of a bounded size that end in time."""

from __future__ import annotations

import io
from typing import Any

from agss_model.system.deadline import LateError, within

MOST_BYTES = 512 << 20
"""Of one answer. The largest picture that is tracked has 206 MiB without loss (36 million pixels of 16 bits), masks of
20 objects in 1,000 frames about 20."""
MOST_ERROR_BYTES = 64 << 10
"""Of an answer that is no success; what follows stays unread."""
MOST_SECONDS = 900.0
"""From a request to the end of its answer: the largest picture at 2 Mbit/s; CVAT waits 2 minutes for a function."""
_CHUNK = 64 << 10  # also bounds what older versions of urllib3 unpack at once


class EndlessError(Exception):
    """An answer with more bytes than are taken, or that does not end in time."""


def make_strict(client: Any) -> None:  # noqa: ANN401 - cvat-sdk has no types
    """Let a `cvat_sdk.Client` follow no redirect, so that sign-in and pictures stay with the host that was named.

    It raises `EndlessError` for a success of more than `MOST_BYTES` and for what takes longer than `MOST_SECONDS`, and
    cuts other answers at `MOST_ERROR_BYTES`.
    """
    from cvat_sdk.api_client.rest import RESTClientObject
    from urllib3 import Retry

    configuration = client.api_client.configuration
    configuration.retries = Retry(total=0, redirect=False, raise_on_status=False)
    rest = RESTClientObject(configuration)
    rest.pool_manager = _BoundedPool(rest.pool_manager)
    client.api_client.rest_client = rest


class _BoundedPool:
    """urllib3's pool of connections; answers come whole, and never larger than allowed."""

    def __init__(self, pool: Any) -> None:  # noqa: ANN401 - of connections to the host or to a proxy
        self._pool = pool

    def request(self, method: str, url: str, **options: Any) -> Any:  # noqa: ANN401 - as urllib3 takes them
        """An `urllib3.HTTPResponse` that has been read; the connection is free again."""
        try:
            return within(MOST_SECONDS, lambda: self._whole(method, url, options))
        except LateError as error:
            raise EndlessError(str(error)) from None

    def _whole(self, method: str, url: str, options: dict[str, Any]) -> Any:  # noqa: ANN401 - urllib3.HTTPResponse
        from urllib3 import HTTPResponse

        response = self._pool.request(method, url, **{**options, "preload_content": False})
        try:
            data = _read(response, 200 <= response.status < 300)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return HTTPResponse(
            io.BytesIO(data),
            response.headers,
            response.status,
            reason=response.reason,
            decode_content=False,  # it is done
            enforce_content_length=False,
        )

    def clear(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _read(response: Any, success: bool) -> bytes:  # noqa: ANN401 - urllib3.HTTPResponse
    most, data = MOST_BYTES if success else MOST_ERROR_BYTES, bytearray()
    for chunk in response.stream(_CHUNK):
        data += chunk
        if len(data) > most:
            if success:
                raise EndlessError(f"more than the {MOST_BYTES >> 20} MiB that are taken")
            response.close()
            break
    return bytes(data)
