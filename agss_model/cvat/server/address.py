"""Addresses of CVAT servers, as people write them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from agss_model.errors import ConfigError


def full_address(host: str) -> str:
    """An address with its scheme.

    Where none is written it is https, but http on this machine itself, as CVAT listens when it was just installed:
    there is no network on which somebody could read along.

    Raises:
        ConfigError: it holds a user or a password.
    """
    if "@" in host:
        raise ConfigError("--host holds a user or password, which others may see; name --user, and the address alone.")
    if "://" in host:
        return host
    return f"{'http' if _here(host) else 'https'}://{host}"


def advice(error: str, host: str) -> str:
    """What to do about a server that does not answer."""
    if error == "SSLError":
        return f"if it speaks no https, write http://{urlsplit(host).netloc}; for a certificate of your own --insecure."
    return "check the address and the network, then give the same command again."


def _here(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
