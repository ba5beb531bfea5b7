"""From the settings to a writer: the extractive one, a model folder on this machine, or a served model by `provider:name`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from knowledge.errors import InvalidSettings, MissingExtra, WriterUnavailable
from rag.config import Settings
from rag.writers import ExtractiveWriter, Writer

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def load_writer(settings: Settings) -> Writer:
    """The writer the settings name.

    Raises InvalidSettings for a served model that leaves this machine while `allow_remote_model` is off,
    WriterUnavailable where a folder holds no model, MissingExtra where a package is missing.
    """
    if not settings.model:
        return ExtractiveWriter()
    from rag.model_writer import ModelWriter

    folder = Path(settings.model).expanduser()
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
    remote = not is_loopback(settings.model_url)
    if remote and not settings.allow_remote_model:
        raise InvalidSettings(
            f"model {settings.model}: what patients say would leave this machine; an administrator allows that with "
            "allow_remote_model = true in config.toml, or serves the model here and sets model_url"
        )
    return ModelWriter(_served(settings), settings.model, remote=remote, seconds=settings.writer_seconds)


def is_loopback(url: str) -> bool:
    """Whether a served model's address is this machine."""
    return bool(url) and (urlsplit(url).hostname or "") in _LOOPBACK


def _served(settings: Settings) -> Any:
    try:
        from langchain.chat_models import init_chat_model

        options: dict[str, Any] = {"temperature": 0, "timeout": settings.writer_seconds, "max_retries": 2}
        if settings.model_url:
            options["base_url"] = settings.model_url
            if is_loopback(settings.model_url) and "OPENAI_API_KEY" not in os.environ:
                options["api_key"] = "none"  # a server on this machine asks for none, its client insists on one
        return init_chat_model(settings.model, **options)
    except ImportError as fault:
        raise MissingExtra(f"model {settings.model}: needs {fault.name}; pip install 'daozhen[served]'") from None
    except Exception as fault:  # the providers' own errors: an unknown name, a missing key
        line = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise WriterUnavailable(f"model {settings.model}: {line}") from None
