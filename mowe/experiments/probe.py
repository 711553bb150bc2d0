"""The mixture without its language model: audio tokens scored against the words of labels.

Routers, fusion and adapter are the model's own. Instead of writing an answer, the mean audio token
is compared with the language model's embeddings of a task's labels: a step takes hundredths of a
second, so that many arms and seeds can be compared.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.experiments.arms import Arm
from mowe.experiments.bank import BASE, FRAMES, RATE, Bank
from mowe.model.adapter import AudioTokens, StackAdapter, stack_frames, token_mask
from mowe.model.control import RoutingControl, controlled
from mowe.model.fusion import Fusion, WeakFeatures
from mowe.model.routing import Router, Routing, pool_frames

WEAK_DIM, HIDDEN_DIM = 128, 256
FRAMES_PER_TOKEN = 3  # 0.3 s, the paper's rate
_SCALE = 10.0  # of scores, whose label embeddings have length 1


class LabelWords(NamedTuple):
    """Labels and questions as the language model's embeddings."""

    labels: Tensor  # (labels, llm_dim), of all tasks, length 1
    task_of: Tensor  # (labels,) task each label belongs to
    questions: Tensor  # (clips, llm_dim)


class ProbeBatch(NamedTuple):
    """Some clips of the bank."""

    rows: Tensor  # (batch,) places in the bank
    base: Tensor  # (batch, FRAMES, base_dim)
    mask: Tensor  # (batch, FRAMES) bool
    allowed: Tensor  # (batch, labels) bool, the labels of each clip's task
    targets: Tensor  # (batch,) places among all labels


class WindowAdapter(nn.Module):
    """One learned query a window attends to its frames, as in SALMONN's window-level Q-Former."""

    def __init__(
        self, fused_dim: int, llm_dim: int, frames_per_token: int, hidden_dim: int
    ) -> None:
        """Build the layers; all widths are feature counts."""
        super().__init__()
        self.frames_per_token = frames_per_token
        self.norm = nn.LayerNorm(fused_dim)
        self.enter = nn.Linear(fused_dim, hidden_dim)
        self.query = nn.Parameter(torch.randn(1, 1, hidden_dim) * 0.02)
        self.attention = nn.MultiheadAttention(hidden_dim, 4, batch_first=True)
        self.hidden = nn.Sequential(nn.LayerNorm(hidden_dim), nn.Linear(hidden_dim, hidden_dim))
        self.projection = nn.Linear(hidden_dim, llm_dim)

    def forward(self, frames: Tensor, mask: Tensor) -> AudioTokens:
        """Map `(batch, frames, fused_dim)` and its bool mask to audio tokens."""
        size = self.frames_per_token
        stacked = stack_frames(self.enter(self.norm(frames)), mask, size)
        real = token_mask(mask, size)  # (batch, tokens)
        windows = stacked.view(real.numel(), size, -1)
        there = F.pad(mask, (0, -mask.shape[1] % size)).view(-1, size)
        ignored = ~there & real.view(-1, 1)  # attention to nothing would be no number
        query = self.query.expand(len(windows), -1, -1)
        heard, _ = self.attention(query, windows, windows, key_padding_mask=ignored)
        heard = heard + F.silu(self.hidden(heard))
        tokens = self.projection(heard).view(*real.shape, -1)
        return AudioTokens(tokens * real.unsqueeze(-1), real)


_ADAPTERS: Mapping[str, Callable[[int, int, int, int], nn.Module]] = {
    "stack": StackAdapter,
    "windows": WindowAdapter,
}


class Probe(nn.Module):
    """One arm's routers, fusion and adapter over a bank of features."""

    def __init__(self, arm: Arm, bank: Bank, words: LabelWords) -> None:
        """Build what the arm asks for, from torch's generator.

        Args:
            arm: The arm.
            bank: Features of its encoders.
            words: Labels and questions.
        """
        super().__init__()
        self.arm, self.bank, self.words = arm, bank, words
        # at its pick's full weight, where routers learn from what each encoder alone would give
        self.full_weight = arm.way not in ("paper", "dense warm-up", "uniform warm-up")
        base_dim, llm_dim = bank.dim(BASE), words.labels.shape[1]
        self.router = (
            Router(
                arm.pool,
                base_dim + (words.questions.shape[1] if arm.question else 0),
                kind=arm.routers,
                top_k=arm.top_k,
                hidden_dim=arm.hidden_dim,
                smoothing=arm.smoothing,
            )
            if arm.routers != "none"
            else None
        )
        dims = [bank.dim(name) for name in arm.pool]
        self.width = max(dims, default=0) if arm.shared else 0
        self.fusion = Fusion(tuple(self.width or dim for dim in dims), WEAK_DIM, RATE)
        if arm.shared:
            self.fusion.projections = nn.ModuleList([self.fusion.projections[0]] * len(dims))
        fused_dim = base_dim + arm.slots * WEAK_DIM
        self.adapter = _ADAPTERS[arm.adapter](fused_dim, llm_dim, FRAMES_PER_TOKEN, HIDDEN_DIM)

    def batch(self, rows: Tensor, tasks: Tensor, targets: Tensor) -> ProbeBatch:
        """Clips of the bank, `(batch,)` each: places, tasks, and places among all labels."""
        allowed = self.words.task_of == tasks[:, None]
        return ProbeBatch(rows, self.bank.of(BASE, rows), self.bank.mask(rows), allowed, targets)

    def route(self, batch: ProbeBatch, control: RoutingControl | None = None) -> Routing:
        """What the routers decide, with the question where the arm says so."""
        assert self.router is not None
        frames = batch.base
        if self.arm.question:
            asked = self.words.questions[batch.rows].unsqueeze(1).expand(-1, FRAMES, -1)
            frames = torch.cat([frames, asked], dim=-1)
        return controlled(self.router, frames, batch.mask, control)

    def weights(self, batch: ProbeBatch, routing: Routing | None) -> tuple[Tensor, ...]:
        """What multiplies the encoders in each slot, `(batch, encoders)` each."""
        if routing is None:
            return self.always(batch)
        found = routing.weights
        return tuple(map(_picked, found)) if self.full_weight else found

    def always(self, batch: ProbeBatch) -> tuple[Tensor, ...]:
        """Weights of an arm without routers."""
        slots = [[float(name in some) for name in self.arm.pool] for some in self.arm.always]
        return tuple(torch.tensor(slot).expand(len(batch.rows), -1) for slot in slots)

    def listen(self, batch: ProbeBatch, weights: Sequence[Tensor]) -> AudioTokens:
        """Clips to audio tokens, `(batch, audio_tokens, llm_dim)`, and their mask."""
        if self.arm.join == "sum" and len(weights) > 1:
            weights = (torch.stack(list(weights)).sum(dim=0),)
        fused = self.fusion(batch.base, self._weak(batch, weights), tuple(weights))
        audio: AudioTokens = self.adapter(fused, batch.mask)
        return audio

    def scores(self, batch: ProbeBatch, weights: Sequence[Tensor]) -> Tensor:
        """Scores of every label, `(batch, labels)`; those of other tasks are -inf."""
        audio = self.listen(batch, weights)
        heard = pool_frames(audio.tokens, audio.mask)  # (batch, llm_dim)
        scores = _SCALE * heard @ self.words.labels.T
        return scores.masked_fill(~batch.allowed, float("-inf"))

    def losses(self, batch: ProbeBatch, weights: Sequence[Tensor]) -> Tensor:
        """Cross-entropy of every clip in nats, `(batch,)`."""
        return F.cross_entropy(self.scores(batch, weights), batch.targets, reduction="none")

    def _weak(self, batch: ProbeBatch, weights: Sequence[Tensor]) -> dict[int, WeakFeatures]:
        if not weights:
            return {}
        runs = torch.stack([one != 0 for one in weights]).any(dim=0)  # (batch, encoders)
        found = {}
        for position, column in enumerate(runs.T):
            rows = column.nonzero().squeeze(1)
            if len(rows):
                frames = self.bank.of(self.arm.pool[position], batch.rows[rows])
                if self.width:
                    frames = F.pad(frames, (0, self.width - frames.shape[2]))
                found[position] = WeakFeatures(rows, frames, batch.mask[rows], RATE)
        return found


def _picked(weights: Tensor) -> Tensor:
    """The same picks at full weight; several share it."""
    picked = (weights > 0).float()
    return picked / picked.sum(dim=-1, keepdim=True).clamp_min(1.0)
