"""How the commands for CVAT sign in: options, and the server that they lead to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from agss_model.cvat.server.client import PASSWORD_VARIABLE, TOKEN_VARIABLE, Server, connect, read_token
from agss_model.errors import ConfigError

Host = Annotated[str, typer.Option("--host", help="Address of the CVAT server.", show_default=False)]
JobNumber = Annotated[
    int, typer.Option("--job", help="Number of the job, as in its address in CVAT.", show_default=False)
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="File with an access token.", show_default=f"${TOKEN_VARIABLE}")
]
User = Annotated[
    str | None,
    typer.Option(
        "--user", help=f"User, where there is no token; the password comes from ${PASSWORD_VARIABLE} or a prompt."
    ),
]
Org = Annotated[str | None, typer.Option("--org", help="Short name of the organization of the job.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Accept any certificate.")]


def sign_in(host: str, token_file: Path | None, user: str | None, org: str | None, *, insecure: bool) -> Server:
    """The server, signed in to.

    Raises:
        ConfigError: neither token nor user.
        CvatError: the server cannot be reached, or refuses.
    """
    token = read_token(token_file) if user is None else None
    return connect(host, token=token, login=_login(token_file, user, host), org=org, insecure=insecure)


def _login(token_file: Path | None, user: str | None, host: str) -> tuple[str, str] | None:
    """User and password, where there is no token."""
    if user is None:
        if read_token(token_file) is None:
            raise ConfigError(
                f"CVAT needs a sign-in: put an access token into ${TOKEN_VARIABLE} or --token-file, or name --user."
            )
        return None
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        if not sys.stdin.isatty():
            raise ConfigError(f"The password of {user} is missing; put it into ${PASSWORD_VARIABLE}.")
        password = str(typer.prompt(f"Password of {user} at {host}", hide_input=True, err=True))
    return user, password
