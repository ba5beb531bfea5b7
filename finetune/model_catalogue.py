"""The models that can be tuned and the field's medical ones: size, licence, template, data, stages."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from finetune.dataset_entry import InvalidRegistry
from finetune.registry import HERE, toml_of

MODELS = HERE / "models.toml"


@dataclass(frozen=True)
class ModelEntry:
    """One model of the catalogue. parameters: as named by its makers, such as "7B"; base: what it was tuned from.

    kind: base (to tune) or medical (tuned by others). stages: what it went through, or for a base which stages apply.
    """

    name: str
    kind: str
    hub: str = ""
    url: str = ""
    parameters: str = ""
    licence: str = ""
    base: str = ""
    chat_template: str = ""
    languages: tuple[str, ...] = ()
    data: str = ""
    stages: tuple[str, ...] = ()
    note: str = ""


def load_models(path: Path = MODELS) -> list[ModelEntry]:
    """The catalogue of models. Raises InvalidRegistry."""
    entries = []
    for row in toml_of(path).get("model", []):
        unknown = sorted(set(row) - {one.name for one in fields(ModelEntry)})
        if unknown or row.get("kind") not in ("base", "medical"):
            raise InvalidRegistry(
                f"{path.name}: {row.get('name', 'an entry without a name')}: {', '.join(unknown) or 'kind base or medical'}"
            )
        entries.append(
            ModelEntry(**{**row, "languages": tuple(row.get("languages", ())), "stages": tuple(row.get("stages", ()))})
        )
    return entries
