"""The embedder stage: texts and pairs → tokenizer → encoder → model folder, with its figures.

The encoder first guesses hidden words (masked), then pulls the texts of a pair together (wide), then tells them from
the passages it found hardest (sharp). Each step leaves its result in the work folder beside the model folder; a step
whose result is there, made from the same settings and data, is not done again.
"""

from __future__ import annotations

import hashlib
import json
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.embedder_corpus import HeldApart, TextSource, prepare
from finetune.embedder_corpus_files import FIGURES, TOKENIZER, load_groups, load_held_out, load_text_stream
from finetune.embedder_graph import EncoderShape
from finetune.embedder_pairs import PairSource
from knowledge.errors import MissingExtra, TrainingFailed

if TYPE_CHECKING:
    from finetune.embedder_encoder import Encoder

Progress = Callable[[str], None]


@dataclass(frozen=True)
class EmbedderConfig:
    """What finetune/configs/embedder.toml says. masked, wide, sharp: settings of the three phases, by name."""

    name: str
    encoder: EncoderShape
    masked: dict[str, Any]
    wide: dict[str, Any]
    sharp: dict[str, Any]
    datasets: tuple[PairSource, ...]
    texts: tuple[TextSource, ...] = ()
    held_apart: tuple[HeldApart, ...] = ()
    vocabulary: int = 24_000
    dimensions: tuple[int, ...] = ()
    seed: int = 1

    @classmethod
    def read(cls, path: Path) -> EmbedderConfig:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
            config = cls(
                encoder=EncoderShape(**values.pop("encoder", {})),
                datasets=tuple(PairSource(**row) for row in values.pop("datasets", [])),
                texts=tuple(TextSource(**row) for row in values.pop("texts", [])),
                held_apart=tuple(HeldApart(**row) for row in values.pop("held_apart", [])),
                dimensions=tuple(values.pop("dimensions", [])),
                **values,
            )
            config.phases()
            return config
        except OSError as fault:
            raise TrainingFailed(f"{path}: cannot be read ({fault.strerror}); give an embedder config") from None
        except (tomllib.TOMLDecodeError, TypeError) as fault:
            problem = str(fault).replace("__init__() got an ", "")
            raise TrainingFailed(f"{path.name}: {problem}; see finetune/configs/embedder.toml") from None

    def phases(self) -> tuple[Any, Any, Any]:
        """The settings of the masked, the wide and the sharp phase."""
        torch_or_missing_extra()
        from finetune.embedder_contrast import ContrastSettings
        from finetune.embedder_mlm import MaskedSettings

        shared: dict[str, Any] = {"dimensions": self.dimensions}
        return (
            MaskedSettings(**self.masked),
            ContrastSettings(**shared, **self.wide),
            ContrastSettings(**shared, **self.sharp),
        )


def train_embedder(
    config_path: Path, data_dir: Path, out_dir: Path, *, progress: Progress = lambda _line: None
) -> dict[str, Any]:
    """Trains the embedder of that config and writes its model folder; returns its figures.

    Data sets that are not in data_dir are skipped and named in the figures; with none at all TrainingFailed is raised.
    """
    started = time.perf_counter()
    config = EmbedderConfig.read(config_path)
    work = out_dir.with_name(f"{out_dir.name}.work")
    corpus_figures = ready_corpus(config, data_dir, work / "corpus", progress)
    encoder, figures = train_encoder(config, work, progress)

    from finetune.embedder_card import write_card
    from finetune.embedder_export import write_model_folder

    corpus = work / "corpus"
    write_model_folder(out_dir, config.name, encoder, corpus / TOKENIZER, load_groups(corpus))
    figures = {**corpus_figures, **figures, "seconds": round(time.perf_counter() - started)}
    write_card(out_dir, config, figures)
    figures["megabytes"] = round(sum(path.stat().st_size for path in out_dir.rglob("*") if path.is_file()) / 1e6, 2)
    return figures


def ready_corpus(config: EmbedderConfig, data_dir: Path, folder: Path, progress: Progress) -> dict[str, Any]:
    """The corpus's figures; it is made unless it is there, made from the same settings."""
    rows: list[Any] = [*config.datasets, *config.texts, *config.held_apart]
    fingerprint = fingerprint_of([config.vocabulary, *(asdict(row) for row in rows)])
    if (folder / FIGURES).is_file():
        figures: dict[str, Any] = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
        if figures.get("fingerprint") == fingerprint:
            progress("the corpus is ready")
            return figures
    figures = prepare(folder, data_dir, config.datasets, config.texts, config.held_apart, config.vocabulary, progress)
    figures["fingerprint"] = fingerprint
    (folder / FIGURES).write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return figures


def train_encoder(config: EmbedderConfig, work: Path, progress: Progress) -> tuple[Encoder, dict[str, Any]]:
    """The trained encoder, and the figures of its phases; from what is there of them already."""
    from finetune.embedder_contrast import train_contrast
    from finetune.embedder_encoder import Encoder
    from finetune.embedder_mining import held_out_scores, mine
    from finetune.embedder_mlm import train_masked

    masked, wide, sharp = config.phases()
    corpus = work / "corpus"
    corpus_figures = json.loads((corpus / FIGURES).read_text(encoding="utf-8"))
    encoder = Encoder(config.encoder, corpus_figures["vocabulary"]).to(device())
    groups, held_out = load_groups(corpus), load_held_out(corpus)
    lengths = (wide.question_tokens, wide.passage_tokens)

    def guess_hidden_words(checkpoint: Path, fingerprint: str) -> list[float]:
        return train_masked(encoder, load_text_stream(corpus), masked, config.seed, checkpoint, fingerprint, progress)

    def pull_pairs_together(checkpoint: Path, fingerprint: str) -> list[float]:
        return train_contrast(encoder, groups, {}, wide, config.seed, checkpoint, fingerprint, progress)

    def tell_from_the_hardest(checkpoint: Path, fingerprint: str) -> list[float]:
        mined = {group.name: mine(encoder, group, *lengths) for group in groups}
        return train_contrast(encoder, groups, mined, sharp, config.seed + 1, checkpoint, fingerprint, progress)

    figures: dict[str, Any] = {}
    made_from: list[Any] = [config.seed, asdict(config.encoder), corpus_figures["fingerprint"]]
    for name, settings, train in (
        ("masked", masked, guess_hidden_words),
        ("wide", wide, pull_pairs_together),
        ("sharp", sharp, tell_from_the_hardest),
    ):
        if not settings.steps:
            continue
        made_from.append(asdict(settings))
        fingerprint = fingerprint_of(made_from)
        figures[name] = taken_up(encoder, work / f"{name}.safetensors", fingerprint)
        if figures[name] is None:
            progress(f"{name}: {settings.steps} steps")
            started = time.perf_counter()
            losses = train(work / f"{name}_checkpoint", fingerprint)
            figures[name] = {
                "loss_first": round(losses[0], 3),
                "loss_last": round(sum(losses[-20:]) / len(losses[-20:]), 3),
                "seconds": round(time.perf_counter() - started),
                **({} if name == "masked" else {"held_out": held_out_scores(encoder, held_out, *lengths)}),
            }
            put_by(encoder, work / f"{name}.safetensors", fingerprint, figures[name])
        progress(f"{name}: {json.dumps(figures[name], ensure_ascii=False)}")
    return encoder, figures


def put_by(encoder: Encoder, path: Path, fingerprint: str, figures: dict[str, Any]) -> None:
    """Writes a phase's weights, as half floats, whole or not at all."""
    from safetensors.torch import save_file

    weights = {name: weight.detach().half().contiguous() for name, weight in encoder.state_dict().items()}
    partial = path.with_suffix(".partial")
    save_file(weights, partial, metadata={"fingerprint": fingerprint, "figures": json.dumps(figures)})
    partial.replace(path)


def taken_up(encoder: Encoder, path: Path, fingerprint: str) -> dict[str, Any] | None:
    """Loads a phase's weights into the encoder and returns its figures; None where that phase is still to do."""
    from safetensors import safe_open

    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as kept:
        facts = kept.metadata()
        if facts["fingerprint"] != fingerprint:
            return None
        encoder.load_state_dict({name: kept.get_tensor(name).float() for name in kept.keys()})  # noqa: SIM118 (it is no dictionary)
    figures: dict[str, Any] = json.loads(facts["figures"])
    return figures


def device() -> str:
    """ "cuda" where there is a GPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def torch_or_missing_extra() -> None:
    """Raises MissingExtra, naming what to install, where torch is not there."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtra("training needs torch; pip install 'daozhen[finetune]'") from None


def fingerprint_of(values: Any) -> str:
    """16 hex digits over settings."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]
