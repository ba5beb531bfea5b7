"""From the settings to a writer: the extractive one, a model folder on this machine (the one that ships is `embedded`), or a
served model by `provider:name`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.errors import InvalidSettings, MissingExtra, WriterUnavailable
from rag.config import SETTINGS_FILE, Settings, load_table
from rag.model_address import ModelAddress, model_address
from rag.writers import ExtractiveWriter, Writer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

EMBEDDED = "embedded"
_SHIPPED = (Path(__file__).parent / "models" / "writer").resolve()


def load_writer(settings: Settings) -> Writer:
    """The writer the settings name.

    Raises InvalidSettings for a served model that leaves this machine while `allow_remote_model` is off,
    WriterUnavailable where a folder holds no model, MissingExtra where a package is missing.
    """
    if not settings.model:
        return ExtractiveWriter()
    if folder := weights_folder(settings.model):
        from rag.model_writer import ModelWriter

        ships = folder == _SHIPPED
        return ModelWriter(
            _local(settings, folder),
            EMBEDDED if ships else folder.name,
            remote=False,
            seconds=settings.writer_seconds,
            word_for_word=ships or settings.word_for_word,
        )
    from rag.served_writer import ServedLimits, ServedWriter

    address = _allowed_address(settings)
    limits = load_table(settings.home / SETTINGS_FILE, "served", ServedLimits(), may_be_zero={"wait_seconds"})
    # tried again by ServedWriter, which knows how much time is left
    silence = max(limits.first_seconds, limits.stall_seconds)
    model = _served(settings.model, address, silence, limits.connect_seconds, retries=0)
    return ServedWriter(
        model, settings.model, remote=not address.direct, seconds=settings.writer_seconds, limits=limits
    )


def load_chat_model(settings: Settings) -> BaseChatModel:
    """The language model the settings name, to be asked for whole replies that nobody waits for: `writer_seconds` each,
    and two more tries. Raises as load_writer does."""
    if folder := weights_folder(settings.model):
        return _local(settings, folder)
    return _served(settings.model, _allowed_address(settings), settings.writer_seconds, 5.0, retries=2)


def weights_folder(model: str) -> Path | None:
    """The folder of a model on this machine; None for a served one, and for none."""
    folder = _SHIPPED if model == EMBEDDED else Path(model).expanduser()
    if model and folder.resolve() == _SHIPPED:
        return _SHIPPED  # by whatever path, it is never without its adapter, and never free
    return folder if model and folder.is_dir() else None


def _local(settings: Settings, folder: Path) -> BaseChatModel:
    from rag.local_chat_model import LocalChatModel

    adapter = Path(settings.adapter).expanduser() if settings.adapter else None
    if folder == _SHIPPED:
        if adapter is not None:
            raise InvalidSettings("adapter: the embedded model has its own; leave it out")
        adapter = folder / "adapter"
    return LocalChatModel(model_dir=folder, adapter_dir=adapter).load()


def _allowed_address(settings: Settings) -> ModelAddress:
    """Where a served model is asked, if what is said may go there."""
    if ":" not in settings.model:
        raise WriterUnavailable(
            f"{settings.model}: no such folder, and not `provider:name`; name a model's folder or for example openai:NAME"
        )
    for name in ("adapter", "word_for_word"):
        if getattr(settings, name):
            raise InvalidSettings(
                f"{name}: only a model in a folder on this machine takes it; leave it out for a served model"
            )
    address = model_address(settings)
    if not address.direct and not settings.allow_remote_model:
        raise InvalidSettings(
            f"model {settings.model}: what patients say would leave this machine; an administrator allows that with "
            "allow_remote_model = true in config.toml, or serves the model here as openai:NAME and sets model_url (in "
            "the hospital's own network also model_is_local = true)"
        )
    return address


def _served(name: str, address: ModelAddress, seconds: float, connect_seconds: float, retries: int) -> BaseChatModel:
    """seconds: the longest silence of the server."""
    try:
        from langchain.chat_models import init_chat_model

        options: dict[str, Any] = {"timeout": seconds, **({"base_url": address.url} if address.url else {})}
        if name.startswith("openai:"):
            options |= _openai_options(address, seconds, connect_seconds)
        model: BaseChatModel = init_chat_model(name, temperature=0, max_retries=retries, **options)
        return model
    except ImportError as fault:
        raise MissingExtra(f"model {name}: needs {fault.name}; pip install 'daozhen[served]'") from None
    except Exception as fault:  # the providers' own errors: an unknown name, a missing key
        line = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise WriterUnavailable(f"model {name}: {line}") from None


def _openai_options(address: ModelAddress, seconds: float, connect_seconds: float) -> dict[str, Any]:
    """A client that follows no redirect, and that no proxy stands before where words may not leave: either would carry
    them to another machine than the one that was named."""
    from openai import DefaultHttpxClient, Timeout

    timeout = Timeout(seconds, connect=connect_seconds)
    no_proxy: dict[str, Any] = {"mounts": dict.fromkeys(("all://", "http://", "https://"))} if address.direct else {}
    client = DefaultHttpxClient(timeout=timeout, follow_redirects=False, **no_proxy)
    options: dict[str, Any] = {"timeout": timeout, "http_client": client}
    if address.url and "OPENAI_API_KEY" not in os.environ:
        options["api_key"] = "none"  # a server of one's own may ask for none, its client insists on one
    return options
