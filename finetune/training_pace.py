"""How fast a stage trains: the tokens its steps took, padding left out, the seconds they lasted, and how busy a GPU was.

A loader makes batches ahead of the step that takes them, evaluation has batches of its own, and the last step is followed by
saving: none of them is training, so none is counted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from finetune.stage_config import StageConfig

WARM_STEPS = 3  # left out of the pace, where a run has more than twice as many: they compile kernels


class CountedTokens:
    """A collator that notes (tokens, targets) of every batch it makes, padding left out. taken: batches trained on."""

    def __init__(self, collator: Any) -> None:
        self.collator, self.taken, self.evaluating = collator, 0, False
        self.batches: list[tuple[int, int]] = []

    def __call__(self, rows: Any) -> Any:
        batch = self.collator(rows)
        if isinstance(batch, Mapping) and not self.evaluating:
            masks = [value for name, value in batch.items() if name.endswith("attention_mask")]
            tokens = sum(int(mask.sum()) for mask in masks) if masks else _size(batch.get("input_ids"))
            self.batches.append((tokens, _size(batch.get("targets"))))
        return batch

    def trained(self, since: int = 0) -> int:
        """Tokens of the batches that were trained on, the first few left out."""
        return sum(tokens for tokens, _ in self.batches[since : self.taken])

    @property
    def learnt_share(self) -> float:
        """Of the tokens; 1 where the batches do not say what is learnt."""
        targets = sum(targets for _, targets in self.batches[: self.taken])
        return targets / self.trained() if targets else 1.0

    def leave_out_evaluation(self, trainer: Any) -> None:
        evaluate = trainer.evaluate

        def evaluated(*args: Any, **kwargs: Any) -> Any:
            self.evaluating = True
            try:
                return evaluate(*args, **kwargs)
            finally:
                self.evaluating = False

        trainer.evaluate = evaluated


class Pace:
    """When the steps of this process began, were warm and ended."""

    def __init__(self, config: StageConfig, tokens: CountedTokens) -> None:
        self.tokens, self._evaluates = tokens, bool(config.training.evaluate_every)
        self._warm: tuple[float, int] | None = None  # when the first steps were over, and how many batches they took
        self.begin(0)

    def begin(self, first_step: int) -> None:
        self._first, self._started = first_step, time.perf_counter()
        self._ended = self._started

    def took_batch(self) -> None:
        self.tokens.taken += 1

    def end_step(self, step: int, steps: int) -> None:
        """Of `steps`, step `step` is over. Waits for the device where the clock is read for good."""
        is_warm = step - self._first == WARM_STEPS and steps - self._first > 2 * WARM_STEPS
        if is_warm or step >= steps:
            _wait_for_device()
        self._ended = time.perf_counter()
        if is_warm:
            self._warm = self._ended, self.tokens.taken

    def so_far(self) -> float:
        """Tokens a second since the beginning."""
        return self.tokens.trained() / max(time.perf_counter() - self._started, 1e-6)

    def measured(self) -> tuple[int, float]:
        """(tokens, seconds) of the warm steps; of all, where they are few, evaluation came between or batches tell no tokens."""
        if self._warm is None or self._evaluates or not self.tokens.batches:
            return self.tokens.trained(), self._ended - self._started
        began, taken = self._warm
        return self.tokens.trained(taken), self._ended - began


def speed_figures(
    config: StageConfig, processes: int, tokens: int, seconds: float, learnt_share: float
) -> dict[str, Any]:
    """Tokens a second of all processes; on a GPU also peak memory and, of pt and sft, model FLOPs utilisation.

    tokens, seconds: of one process. The utilisation is what the model needs (nothing counted twice that is computed again, the
    head only where something is learnt) over what large matrix products reach on this GPU, which is told beside it (TFLOP/s).
    """
    import torch

    rate = tokens / max(seconds, 1e-6)
    figures: dict[str, Any] = {"tokens_per_second": round(processes * rate)}
    if not torch.cuda.is_available():
        return figures
    figures["peak_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    if config.stage in ("pt", "sft"):
        from finetune.plan import flops_of, matrix_flops, shape_of_base

        torch.cuda.empty_cache()
        needed = flops_of(config, shape_of_base(config), recomputed=False, head_share=learnt_share)
        reached = matrix_flops(config)
        figures["model_flops_utilisation"] = round(rate * needed / reached, 3)
        figures["matrix_tflops"] = round(reached / 1e12)
    return figures


def _size(ids: Any) -> int:
    return int(ids.numel()) if hasattr(ids, "numel") else 0


def _wait_for_device() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
