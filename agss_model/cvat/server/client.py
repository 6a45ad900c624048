"""A CVAT server through cvat-sdk: signed in, strict about redirects, with errors a user can act on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from agss_model.bounded_json import loads
from agss_model.cvat.server.address import advice, full_address
from agss_model.cvat.server.strict import EndlessError, make_strict
from agss_model.errors import AgssError, ConfigError, install
from agss_model.words import printable

TOKEN_VARIABLE = "CVAT_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
PASSWORD_VARIABLE = "PASS"  # noqa: S105 - as cvat-cli calls it
OLDEST = (2, 40)  # trackers for masks
TIMEOUT = (15.0, 180.0)  # seconds to connect, and to wait for an answer; CVAT itself waits 120 for a function
TRIES = 4
MOST_VALUES = 50_000_000
"""Of one answer; the masks of a long job with many objects are some millions of numbers."""
_PASSING = {429, 502, 503, 504}


class CvatError(AgssError):
    """A CVAT server that cannot be reached, or refuses.

    Attributes:
        status: of the reply, 0 where there was none.
        passing: the same request may work a little later.
    """

    def __init__(self, message: str, status: int = 0, *, passing: bool = False) -> None:
        super().__init__(message)
        self.status, self.passing = status, passing


class Server:
    """Requests to one CVAT server, as parsed JSON: what is not changed stays exactly what the server sent.

    Args:
        client: a signed-in `cvat_sdk.Client`.
        pause: seconds before the first repetition of a request that failed in passing; doubled each time.
    """

    secrets: tuple[str, ...] = ()
    """What no message may show, whoever sends it back."""

    def __init__(self, client: Any, *, pause: float = 1.0) -> None:  # noqa: ANN401 - cvat-sdk has no types
        self._client, self.pause = client, pause

    @property
    def host(self) -> str:
        """Address of the server."""
        return str(self._client.api_map.host)

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        """JSON object of a GET request, repeated where it failed in passing.

        Raises:
            CvatError: the server refuses, or answers with something else.
        """
        answer = self._parsed(self._repeated("GET", path, None, query), path)
        if not isinstance(answer, dict):
            raise CvatError(
                f"{self.host} answered {path} with something else than CVAT does; is it a CVAT server?", 200
            )
        return answer

    def call(self, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        """JSON of a POST request that may be repeated, such as a call of a function."""
        return self._parsed(self._repeated("POST", path, body, {}), path)

    def patch(self, path: str, body: Mapping[str, object], **query: object) -> Any:  # noqa: ANN401 - JSON
        """JSON of a PATCH request, sent once: whether a lost reply stands for a change, the caller must find out."""
        data = self._once("PATCH", path, body, query)
        return self._parsed(data, path) if data else None

    def _parsed(self, data: bytes, path: str) -> Any:  # noqa: ANN401 - JSON
        try:
            return loads(data, MOST_VALUES)
        except ValueError:
            what = "something that is not JSON; a sign-in page or a proxy may stand before it"
            raise CvatError(f"{self.host} answered {path} with {what}.", 200) from None

    def frame(self, job: int, number: int) -> bytes:
        """The image file of a frame in full quality."""
        return self._repeated(
            "GET", f"/api/jobs/{job}/data", None, {"type": "frame", "number": number, "quality": "original"}
        )

    def task_frame(self, task: int, number: int) -> bytes:
        """The same of a task."""
        return self._repeated(
            "GET", f"/api/tasks/{task}/data", None, {"type": "frame", "number": number, "quality": "original"}
        )

    def pages(self, path: str, **query: object) -> list[Any]:
        """All entries of a list that comes in pages."""
        found: list[Any] = []
        page: object = 1
        while page:
            reply = self.get(path, **query, page=page, page_size=100)
            with expected(path):
                found += reply["results"]
                if reply.get("next") and (not reply["results"] or len(found) >= reply["count"]):
                    raise ValueError("a list without an end")
            page = int(str(page)) + 1 if reply.get("next") else None
        return found

    def masked(self, data: bytes) -> bytes:
        """What a server says, without secrets, as they are or as JSON and addresses write them."""
        for secret in self.secrets:
            for form in {secret, json.dumps(secret)[1:-1], quote(secret), quote_plus(secret)}:
                data = data.replace(form.encode(), b"...")
        return data

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def _repeated(
        self, method: str, path: str, body: Mapping[str, object] | None, query: Mapping[str, object]
    ) -> bytes:
        pause = self.pause
        for _ in range(TRIES - 1):
            with _passing_errors():
                return self._once(method, path, body, query)
            time.sleep(pause)
            pause *= 2
        return self._once(method, path, body, query)

    def _once(self, method: str, path: str, body: Mapping[str, object] | None, query: Mapping[str, object]) -> bytes:
        import urllib3.exceptions

        try:
            _, response = self._client.api_client.call_api(
                path,
                method,
                query_params=list(query.items()),
                body=body,
                _parse_response=False,
                _check_status=False,
                _request_timeout=TIMEOUT,
            )
            data: bytes = response.data
        except urllib3.exceptions.HTTPError as error:
            raise _unreached(error, self.host) from None
        except EndlessError as error:
            raise CvatError(f"{self.host} answered {path} with {error}.", 200) from None
        if not 200 <= response.status < 300:
            raise _explained(response.status, response.headers, self.masked(data), f"{method} {path}", self.host)
        return data


@contextmanager
def _passing_errors() -> Iterator[None]:
    """Swallow errors after which the same request may work a little later."""
    try:
        yield
    except CvatError as error:
        if not error.passing:
            raise


@contextmanager
def expected(what: str) -> Iterator[None]:
    """Turn what is missing or of another kind in an answer into a sentence.

    Raises:
        CvatError: the answer is not of the form that CVAT gives.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise CvatError(f"The server's answer about {what} is not of CVAT's form ({type(error).__name__}).") from error


def _unreached(error: Exception, host: str) -> CvatError:
    kind = type(getattr(error, "reason", None) or error).__name__
    return CvatError(f"No answer from {host} ({kind}); {advice(kind, host)}", passing=True)


def _explained(status: int, headers: Mapping[str, str], body: bytes, request: str, host: str) -> CvatError:
    """Words for a status; never the headers of request or reply, which hold secrets."""
    if 300 <= status < 400:
        target = urlsplit(headers.get("Location", ""))
        where = f"{target.scheme}://{target.netloc}" if target.netloc else "another address"
        return CvatError(
            f"{host} redirects to {where}. Your sign-in is not sent there; if you trust it, give it as --host.", status
        )
    method, path = request.split(" ", 1)
    token = "" if method == "GET" else ", or give an access token that is not read-only"
    known = {
        401: f"{host} does not accept this sign-in (401); the access token may be expired or of another server.",
        403: f"This account may not use {path} (403); ask for the job to be assigned, or say --org{token}.",
        404: f"{host} has no {path} (404); check the number, and --org for jobs of an organization.",
        413: f"{host} refuses requests of this size (413).",
        503: f"{path} is not available at the moment (503).",
        504: f"{path} took longer than {host} waits (504).",
    }
    message = known.get(status, f"{host} answered {path} with status {status}.")
    detail = _detail(body)
    return CvatError(f"{message} It says: {detail}" if detail else message, status, passing=status in _PASSING)


def _detail(body: bytes) -> str:
    """The start of an error's text; pages of HTML tell nothing."""
    text = " ".join(body[:4000].decode("utf-8", "replace").split())
    return "" if "<" in text else printable(text[:200])


def read_token(file: Path | None) -> str | None:
    """The access token from a file, else from the environment; None where neither has one.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {file} cannot be read: {error}.") from error
    if not token or len(token.split()) != 1:
        raise ConfigError(f"--token-file {file} must hold one access token and nothing else.")
    return token


def connect(
    host: str,
    *,
    token: str | None = None,
    login: tuple[str, str] | None = None,
    org: str | None = None,
    insecure: bool = False,
) -> Server:
    """Sign in.

    Args:
        host: address, see `agss_model.cvat.server.address`.
        token: a personal access token.
        login: user and password, where there is no token.
        org: short name of the organization that owns the job.
        insecure: accept any certificate.

    Raises:
        ConfigError: cvat-sdk is missing, or the address is none.
        CvatError: the server refuses, cannot be reached, or is too old.
    """
    try:
        from cvat_sdk.core.client import AccessTokenCredentials, Client, Config, PasswordCredentials
        from cvat_sdk.core.exceptions import InvalidHostException
    except ImportError as error:
        raise ConfigError(f"This command needs cvat-sdk: {install('cvat')}.") from error
    try:
        client = Client(full_address(host), config=Config(verify_ssl=not insecure), check_server_version=False)
    except InvalidHostException as error:
        raise ConfigError(f"--host is {host!r}: {error}.") from error
    make_strict(client)
    if org is not None:
        client.organization_slug = org
    server = Server(client)
    server.secrets = tuple(filter(None, (token, login[1] if login else None)))
    _check_version(server)
    if token is not None:
        client.login(AccessTokenCredentials(token))
    elif login is not None:
        _log_in(server, client, PasswordCredentials(*login))
    return server


def _log_in(server: Server, client: Any, credentials: Any) -> None:  # noqa: ANN401 - cvat-sdk has no types
    import urllib3.exceptions
    from cvat_sdk.api_client.exceptions import ApiException

    host = server.host
    try:
        with expected("the sign-in"):
            client.login(credentials)
    except ApiException as error:
        if error.status == 400:
            raise CvatError(f"{host} does not accept this user and password.", 400) from None
        text = error.body if isinstance(error.body, bytes) else str(error.body or "").encode()
        raise _explained(
            int(error.status or 0), error.headers or {}, server.masked(text), "POST /api/auth/login", host
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise _unreached(error, host) from None
    except EndlessError as error:
        raise CvatError(f"{host} answered the sign-in with {error}.", 200) from None


def _check_version(server: Server) -> None:
    about = server.get("/api/server/about")
    version = str(about.get("version", "")) if isinstance(about, dict) else ""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if len(numbers) < 2:
        raise CvatError(f"{server.host} does not tell a CVAT version; is it the address of a CVAT server?")
    if numbers < OLDEST:
        raise CvatError(f"{server.host} runs CVAT {version}; trackers for masks need {OLDEST[0]}.{OLDEST[1]} or newer.")
