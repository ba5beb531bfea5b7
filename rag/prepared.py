"""What reading the shipped YAML and parsing its phrases gives, kept beside the index: a cold start reads one file, not two hundred.

Used only where not a byte of that YAML or of the parser has changed since; otherwise everything is read as ever.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from knowledge.records import KNOWLEDGE_DIR, read_yaml, remember_parsed
from knowledge.red_flags import load_red_flags, load_signs
from rag.phrases import Phrase, parse_phrases, remember_phrases

PREPARED = "prepared.json"
_PARSER = [Path(__file__).resolve().parent / name for name in ("prepared.py", "phrases.py", "wording.py")]


def write_prepared(folder: Path, before: Path | None = None) -> None:
    """Writes what `use_prepared` takes, into a generation's folder; copied from the generation before where it still holds."""
    if before is not None and _holds(before):
        shutil.copyfile(before / PREPARED, folder / PREPARED)
        return
    written = [*((sign.zh, sign.en) for sign in load_signs().values())]
    written += [(flag.patterns.zh, flag.patterns.en) for flag in load_red_flags().values()]
    lines = list(dict.fromkeys(line for zh, en in written for line in (*zh, *en)))
    phrases = {
        line: [phrase.expression, phrase.needed] for line, phrase in zip(lines, parse_phrases(lines), strict=True)
    }
    values = {"fingerprint": _fingerprint(), "parsed": dict(_as_json()), "phrases": phrases}
    (folder / PREPARED).write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def use_prepared(folder: Path) -> bool:
    """Takes what was prepared in a verified generation's folder, if it was made from what is shipped now; says whether it was."""
    try:
        values = json.loads((folder / PREPARED).read_text(encoding="utf-8"))
        if values["fingerprint"] != _fingerprint():
            return False
        phrases = {
            line: Phrase(expression, tuple(tuple(literals) for literals in needed))
            for line, (expression, needed) in values["phrases"].items()
        }
        remember_parsed({KNOWLEDGE_DIR / name: parsed for name, parsed in values["parsed"].items()})
    except (OSError, ValueError, KeyError, TypeError):
        return False
    remember_phrases(phrases)
    return True


def _holds(folder: Path) -> bool:
    try:
        values = json.loads((folder / PREPARED).read_text(encoding="utf-8"))
        return bool(values["fingerprint"] == _fingerprint())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _as_json() -> Iterator[tuple[str, str]]:
    """(name, content as JSON) of every YAML file whose content JSON can hold; a date or a number as a key it cannot."""
    for path in _yaml_files():
        content = read_yaml(path)
        try:
            text = json.dumps(content, ensure_ascii=False)
        except TypeError:
            continue
        if json.loads(text) == content:
            yield path.relative_to(KNOWLEDGE_DIR).as_posix(), text


def _yaml_files() -> Iterator[Path]:
    yield from sorted(KNOWLEDGE_DIR.rglob("*.yaml"))


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in (*_yaml_files(), *_PARSER):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
