"""Where a served model answers, and whether what is said to it leaves the hospital's own machines."""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from knowledge.errors import InvalidSettings
from rag.config import Settings

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")  # as OpenAI's own clients read it


@dataclass(frozen=True)
class ModelAddress:
    """url: "" for the provider's own; direct: on this machine or declared local, so that nothing is masked and no proxy
    may stand between. Only of `openai:` is that believed: other providers' clients need not keep to a given address."""

    url: str
    direct: bool


def model_address(settings: Settings) -> ModelAddress:
    """The address of the settings, else of the environment; `model_is_local` is believed of a private address alone.

    Raises InvalidSettings for a declaration that cannot be true.
    """
    url, keeps_to_it = settings.model_url, settings.model.startswith("openai:")
    if not url and keeps_to_it:
        url = next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), "")
    if url and not (url.startswith(("http://", "https://")) and host_of(url)):
        raise InvalidSettings(f"model_url: {url!r} is no address; it looks like http://127.0.0.1:8001/v1")
    if settings.model_is_local and not is_loopback(url) and not is_private(url):
        raise InvalidSettings(
            f"model_is_local: {host_of(url) or 'the provider'} is no private address, so what patients say would leave "
            "the hospital unmasked; take the setting out, and see allow_remote_model"
        )
    return ModelAddress(url, keeps_to_it and (is_loopback(url) or settings.model_is_local))


def host_of(url: str) -> str:
    """The host of an address; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(url: str) -> bool:
    """Whether an address is this machine."""
    return host_of(url) in _LOOPBACK


def is_private(url: str) -> bool:
    """Whether all addresses of a host lie in networks that are not reached from the internet; a name is looked up."""
    host = host_of(url)
    if not host:
        return False
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(_is_inside(ipaddress.ip_address(one.partition("%")[0])) for one in found)


def _is_inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """A private, loopback or link-local network (RFC 1918, 4193); documentation and test networks are none."""
    return any(address in network for network in _INSIDE if network.version == address.version)


_INSIDE = [
    ipaddress.ip_network(name)
    for name in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7", "fe80::/10")
]
