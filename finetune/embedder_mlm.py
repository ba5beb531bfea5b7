"""The masked-language phase: the encoder learns both languages by guessing words that are hidden from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from finetune.embedder_encoder import Encoder, mixed_precision
from finetune.embedder_tokens import FIRST_WORD_ID, MASK_ID
from finetune.guarded_loop import LoopSettings, Progress, train_loop


@dataclass(frozen=True)
class MaskedSettings(LoopSettings):
    """window: tokens in a row; rows: windows a step; masked_share: of the tokens, hidden and guessed."""

    window: int = 128
    rows: int = 512
    masked_share: float = 0.3


class Guesser(nn.Module):
    """The encoder with a head that guesses tokens; the head shares the embeddings' table and is thrown away."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.shape.width
        self.dense = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width, bias=False)
        self.bias = nn.Parameter(torch.zeros(encoder.embeddings.tok_embeddings.num_embeddings))

    def forward(self, shown: torch.Tensor, places: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the hidden tokens. shown: (rows, window); places, hidden: (rows, k)."""
        rows = self.encoder(shown)
        asked = torch.gather(rows, 1, places[..., None].expand(-1, -1, rows.shape[-1]))
        guess = F.linear(self.norm(F.gelu(self.dense(asked))), self.encoder.embeddings.tok_embeddings.weight, self.bias)
        return F.cross_entropy(guess.flatten(0, 1).float(), hidden.flatten())


def train_masked(
    encoder: Encoder,
    stream: np.ndarray,
    settings: MaskedSettings,
    seed: int,
    checkpoint: Path,
    fingerprint: str,
    progress: Progress,
) -> list[float]:
    """Trains the encoder on a stream of ids, windows of it at random. Returns the losses."""
    device = encoder.final_norm.weight.device
    torch.manual_seed(seed)
    guesser = Guesser(encoder).to(device)
    vocabulary = guesser.bias.numel()
    guess = torch.compile(guesser) if device.type == "cuda" else guesser
    ids = torch.from_numpy(stream.astype(np.int32)).to(device)
    window = min(settings.window, len(ids) - 1)
    offsets = torch.arange(window, device=device)
    count = max(1, round(window * settings.masked_share))

    def loss_of(step: int) -> torch.Tensor:
        rng = np.random.default_rng([seed, step])
        starts = torch.from_numpy(rng.integers(0, len(ids) - window, settings.rows)).to(device)
        shown = ids[starts[:, None] + offsets].long()
        places = torch.rand(shown.shape, device=device).topk(count, dim=1).indices
        hidden = shown.gather(1, places)
        chance = torch.rand(hidden.shape, device=device)
        some = torch.randint(FIRST_WORD_ID, vocabulary, hidden.shape, device=device)
        instead = torch.where(chance < 0.8, MASK_ID, torch.where(chance < 0.9, some, hidden))
        with mixed_precision(encoder):
            loss: torch.Tensor = guess(shown.scatter(1, places, instead), places, hidden)
        return loss

    return train_loop(guesser, loss_of, settings, checkpoint, fingerprint, progress)
