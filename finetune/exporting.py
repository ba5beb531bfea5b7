"""What leaves the project: a merged model in the forms that servers take, and dialogues as a provider's fine-tuning takes them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune.merging import merge_adapter
from finetune.stage_rows import read_rows
from knowledge.errors import InvalidUsage, MissingExtra, TrainingFailed

CONVERTER = "convert_hf_to_gguf.py"


def export_model(
    source: Path, out: Path, form: str, *, base: str = "", converter: Path | None = None, tell: Callable[[str], object]
) -> dict[str, Any]:
    """A run folder, adapter folder or model folder in a form: safetensors, nf4 or gguf."""
    adapter = next((path for path in (source / "adapter", source) if (path / "adapter_config.json").is_file()), None)
    if form == "gguf":
        return _gguf(adapter, source, out, base, converter, tell)
    if adapter is None:
        model = next((path for path in (source / "model", source) if (path / "config.json").is_file()), None)
        if model is None or form != "nf4":
            raise InvalidUsage(f"{source}: holds no adapter; name a run's folder, or its adapter folder")
        _copied(model, out)
        from finetune.merging import quantize_folder

        quantize_folder(out)
        return {"model": str(out), "form": "nf4"}
    merged = merge_adapter(adapter, out, base=base, four_bit=form == "nf4", tell=tell)
    return {"model": str(out), "form": merged.dtype, "divergence": merged.divergence, "changed_tensors": merged.changed}


def export_openai_messages(source: Path, out: Path) -> dict[str, Any]:
    """Dialogues as {"messages": [...]}, one a line: what providers' fine-tuning endpoints take."""
    partial = out.with_name(out.name + ".partial")
    count = 0
    with partial.open("w", encoding="utf-8") as file:
        for row in read_rows("sft", [source.name], source.parent):
            file.write(json.dumps({"messages": row.values["messages"]}, ensure_ascii=False) + "\n")
            count += 1
    partial.replace(out)
    return {"rows": count, "file": str(out), "form": "openai-messages"}


def _gguf(
    adapter: Path | None, source: Path, out: Path, base: str, converter: Path | None, tell: Callable[[str], object]
) -> dict[str, Any]:
    """By llama.cpp's own converter, the maintained one; it is no Python package, so its place is named or it is on the PATH."""
    script = converter or (Path(found) if (found := shutil.which(CONVERTER)) else None)
    if script is None or not script.is_file():
        raise MissingExtra(
            f"gguf is written by llama.cpp's {CONVERTER}: put it on the PATH, or name it with --converter"
        )
    if adapter is None:
        folder = source
    else:
        folder = out.with_name(out.name + ".merged")
        merge_adapter(adapter, folder, base=base, tell=tell)
    done = subprocess.run(
        [sys.executable, str(script), str(folder), "--outfile", str(out)], capture_output=True, text=True, check=False
    )
    if adapter is not None:
        shutil.rmtree(folder)
    if done.returncode or not out.is_file():
        line = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise TrainingFailed(f"{script}: failed ({line[:200]})")
    return {"model": str(out), "form": "gguf"}


def _copied(model: Path, out: Path) -> None:
    if out.exists():
        raise TrainingFailed(f"{out}: is there already; name a folder that does not exist yet")
    shutil.copytree(model, out)
