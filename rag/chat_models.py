"""From the settings to a writer: the extractive one, a model folder on this machine, or a served model by `provider:name`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.errors import InvalidSettings, MissingExtra, WriterUnavailable
from rag.config import SETTINGS_FILE, Settings, load_table
from rag.model_address import ModelAddress, model_address
from rag.writers import ExtractiveWriter, Writer

if TYPE_CHECKING:
    from rag.served_writer import ServedLimits


EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).with_name("models") / "writer"


def load_writer(settings: Settings) -> Writer:
    """The writer the settings name; "embedded" is the small one that ships with daozhen.

    Raises InvalidSettings for a served model that leaves this machine while `allow_remote_model` is off,
    WriterUnavailable where a folder holds no model, MissingExtra where a package is missing.
    """
    if not settings.model:
        return ExtractiveWriter()
    from rag.model_writer import ModelWriter

    folder = EMBEDDED_FOLDER if settings.model == EMBEDDED else Path(settings.model).expanduser()
    if folder.is_dir():
        from rag.local_chat_model import LocalChatModel

        adapter = Path(settings.adapter).expanduser() if settings.adapter else None
        model = LocalChatModel(model_dir=folder, adapter_dir=adapter).load()
        return ModelWriter(model, folder.name, remote=False, seconds=settings.writer_seconds)
    if ":" not in settings.model:
        raise WriterUnavailable(
            f"{settings.model}: no such folder, and not `provider:name`; name a model's folder or for example openai:NAME"
        )
    if settings.adapter:
        raise InvalidSettings(
            "adapter: only a model in a folder on this machine takes one; leave it out for a served model"
        )
    address = model_address(settings)
    if not address.direct and not settings.allow_remote_model:
        raise InvalidSettings(
            f"model {settings.model}: what patients say would leave this machine; an administrator allows that with "
            "allow_remote_model = true in config.toml, or serves the model here and sets model_url (in the hospital's "
            "own network also model_is_local = true)"
        )
    return _served(settings, address)


def _served(settings: Settings, address: ModelAddress) -> Writer:
    from rag.served_writer import ServedLimits, ServedWriter

    limits = load_table(settings.home / SETTINGS_FILE, "served", ServedLimits(), may_be_zero={"wait_seconds"})
    try:
        from langchain.chat_models import init_chat_model

        options = (
            _openai_options(address, limits) if settings.model.startswith("openai:") else _options(address, limits)
        )
        # tried again by ServedWriter, which knows how much time is left
        model = init_chat_model(settings.model, temperature=0, max_retries=0, **options)
    except ImportError as fault:
        raise MissingExtra(f"model {settings.model}: needs {fault.name}; pip install 'daozhen[served]'") from None
    except Exception as fault:  # the providers' own errors: an unknown name, a missing key
        line = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise WriterUnavailable(f"model {settings.model}: {line}") from None
    return ServedWriter(
        model, settings.model, remote=not address.direct, seconds=settings.writer_seconds, limits=limits
    )


def _options(address: ModelAddress, limits: ServedLimits) -> dict[str, Any]:
    longest = max(limits.first_seconds, limits.stall_seconds)
    return {"timeout": longest, **({"base_url": address.url} if address.url else {})}


def _openai_options(address: ModelAddress, limits: ServedLimits) -> dict[str, Any]:
    """A client that follows no redirect, and that no proxy stands before where words may not leave: either would carry
    them to another machine than the one that was named."""
    from openai import DefaultHttpxClient, Timeout

    longest = max(limits.first_seconds, limits.stall_seconds)
    timeout = Timeout(longest, connect=limits.connect_seconds)
    no_proxy: dict[str, Any] = {"mounts": dict.fromkeys(("all://", "http://", "https://"))} if address.direct else {}
    options: dict[str, Any] = {
        "timeout": timeout,
        "http_client": DefaultHttpxClient(timeout=timeout, follow_redirects=False, **no_proxy),
    }
    if address.url:
        options["base_url"] = address.url
        if "OPENAI_API_KEY" not in os.environ:
            options["api_key"] = "none"  # a server of one's own may ask for none, its client insists on one
    return options
