"""The connection to a CVAT server, which lives beside the readers of its annotations."""

from __future__ import annotations

from agss_model.annotations.cvat_server import (
    PASSWORD_VARIABLE,
    TOKEN_VARIABLE,
    TRIES,
    CvatError,
    Server,
    connect,
    read_token,
)

__all__ = ["PASSWORD_VARIABLE", "TOKEN_VARIABLE", "TRIES", "CvatError", "Server", "connect", "read_token"]
