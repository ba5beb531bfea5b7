"""Where state lives, and the settings in config.toml there."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from knowledge.errors import InvalidSettings
from knowledge.hotlines import DEFAULT_LOCALE

HOME_VARIABLE = "DAOZHEN_HOME"
SETTINGS_FILE = "config.toml"
Limits = TypeVar("Limits", bound=Any)
STORES = ("local", "milvus")


def quiet_libraries() -> None:
    """Nothing said here leaves the machine: tracing, usage statistics and hub look-ups are off unless set on purpose."""
    for name, value in {
        "LANGSMITH_TRACING": "false",
        "LANGCHAIN_TRACING_V2": "false",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
        "TOKENIZERS_PARALLELISM": "false",
    }.items():
        os.environ.setdefault(name, value)


def home_dir() -> Path:
    """The folder of index, settings and learned routing: $DAOZHEN_HOME, else the platform's user data folder."""
    chosen = os.environ.get(HOME_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_path("daozhen", appauthor=False))


@dataclass(frozen=True)
class Settings:
    """config.toml. hospital_dir: a folder with a hospital's own departments and red flags; embedder: a model folder;
    locale: whose telephone numbers are told (knowledge/hotlines.yaml).

    model: who writes answers: "" (the passages' own sentences), "embedded" (the small model that ships), a model's folder,
    or `provider:name`; adapter: a LoRA
    folder for it; model_url: where a served model answers, else $OPENAI_BASE_URL; model_is_local: that address, a private
    one, is the hospital's own, so nothing is masked; allow_remote_model: an administrator's leave to send masked
    questions to a model that does not run on this machine; writer_seconds: an answer's time, then the extractive one is given;
    word_for_word: a model in a folder on this machine chooses among the passages' own sentences and says nothing else;
    idle_seconds: with nobody at the screen, after which it clears for the next patient.

    store: where passages are searched: "local" (this machine's index folder) or "milvus"; milvus_uri: its address, or a
    .db file of Milvus Lite; milvus_name: its alias, what its collections' names begin with; milvus_token_file: a file that
    holds the token, instead of $DAOZHEN_MILVUS_TOKEN."""

    home: Path
    embedder: str = ""
    query_prefix: str = ""
    passage_prefix: str = ""
    allow_download: bool = False
    hospital_dir: str = ""
    locale: str = DEFAULT_LOCALE
    passages_per_answer: int = 6
    model: str = ""
    adapter: str = ""
    model_url: str = ""
    model_is_local: bool = False
    allow_remote_model: bool = False
    writer_seconds: float = 60.0
    word_for_word: bool = False
    idle_seconds: int = 300
    store: str = "local"
    milvus_uri: str = ""
    milvus_name: str = "daozhen"
    milvus_token_file: str = ""

    @property
    def index_dir(self) -> Path:
        return self.home / "index"

    @property
    def hospital_path(self) -> Path | None:
        """hospital_dir, or `hospital/` in the home folder where there is one."""
        if self.hospital_dir:
            return Path(self.hospital_dir).expanduser()
        default = self.home / "hospital"
        return default if default.is_dir() else None


def load_settings(home: Path | None = None) -> Settings:
    """The settings of a home folder; defaults where config.toml is silent. Raises InvalidSettings naming file and key."""
    home = home or home_dir()
    path = home / SETTINGS_FILE
    if not path.is_file():
        return Settings(home)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise InvalidSettings(f"{path}: not readable TOML ({fault}); mend or remove it") from None
    for table in ("reading", "served"):  # limits, each read where it is used: ingest/limits.py, rag/served_writer.py
        values.pop(table, None)
    known = {field.name: field for field in fields(Settings) if field.name != "home"}
    for key, value in values.items():
        if key not in known:
            raise InvalidSettings(f"{path}: unknown setting {key!r}; known: {', '.join(known)}")
        expected = type(known[key].default)
        if not isinstance(value, expected) and not (expected is float and isinstance(value, int)):
            raise InvalidSettings(f"{path}: {key} is {value!r}; it needs a {expected.__name__}")
    if values.get("store", STORES[0]) not in STORES:
        raise InvalidSettings(f"{path}: store is {values['store']!r}; known: {', '.join(STORES)}")
    return Settings(home, **values)


def load_table(path: Path, name: str, defaults: Limits, may_be_zero: Collection[str] = ()) -> Limits:
    """The limits in one table of a config.toml, the defaults elsewhere. defaults: a dataclass of numbers above 0.

    Raises InvalidSettings naming the key.
    """
    if not path.is_file():
        return defaults
    try:
        chosen = tomllib.loads(path.read_text(encoding="utf-8")).get(name, {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise InvalidSettings(f"{path}: not readable TOML ({fault}); mend or remove it") from None
    known = {field.name: type(getattr(defaults, field.name)) for field in fields(defaults)}
    if not isinstance(chosen, dict):
        raise InvalidSettings(f"{path}: {name} is no table; write [{name}] and below it one of: {', '.join(known)}")
    for key, value in chosen.items():
        if key not in known:
            raise InvalidSettings(f"{path}: unknown setting {name}.{key}; known: {', '.join(known)}")
        number = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
        if not number or known[key](value) < 0 or (known[key](value) == 0 and key not in may_be_zero):
            raise InvalidSettings(f"{path}: {name}.{key} is {value!r}; it needs a number above 0")
    return replace(defaults, **{key: known[key](value) for key, value in chosen.items()})


def keep_settings(home: Path, values: dict[str, object]) -> Path:
    """Writes values into config.toml, everything else in it left as it stands; an empty text takes a setting out."""
    import tomlkit

    path = home / SETTINGS_FILE
    load_settings(home)  # a broken file is told, not overwritten
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.is_file() else tomlkit.document()
    for key, value in values.items():
        if value == "":
            document.pop(key, None)
        else:
            document[key] = value
    home.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".toml.new")
    fresh.write_text(tomlkit.dumps(document), encoding="utf-8")
    os.replace(fresh, path)
    return path
