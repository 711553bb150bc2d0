"""Inputs that an encoder's share of the router likes most: made up, and found among records.

Source of the first: Olah et al. 2017, "Feature Visualization".
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from mowe.analysis.attribution.router_path import RouterPath
from mowe.analysis.records import Records
from mowe.audio import Recording
from mowe.errors import ConfigError, RecordsError

SECONDS = 3.0  # length of a made-up input
MAX_STEPS = 500
RANGE = 2.0  # units of log-mel that Whisper keeps below the loudest cell
START_SPREAD = 0.25  # units of log-mel; standard deviation of the noise at the start
REPORT_EVERY = 5  # steps


@dataclass(frozen=True, kw_only=True)
class Regularisation:
    """What keeps a made-up input near sounds; each at its usual place, tuned to no encoder."""

    learning_rate: float = 0.05  # of Adam, units of log-mel
    variation: float = 1.0  # weight of the mean absolute step between neighbouring cells
    distance: float = 0.5  # weight of the mean squared distance from the mean real log-mel
    blur_every: int = 4  # steps
    blur: float = 0.6  # cells; standard deviation of the Gaussian
    jitter: int = 8  # mel frames that the input is shifted by at most, before every step


@dataclass(frozen=True)
class RealSounds:
    """What the log-mel of real sounds looks like: where made-up ones have to stay."""

    mean: np.ndarray  # (mels,)
    low: float  # units of log-mel
    high: float

    @classmethod
    def of(cls, path: RouterPath, recordings: Sequence[Recording]) -> "RealSounds":
        """Measured on recordings, the first window of each.

        Raises:
            ConfigError: If there is none.
        """
        if not recordings:
            raise ConfigError("no recording is there to learn the range of real sounds from")
        rate, longest = path.base.sample_rate, path.base.max_samples
        heard = [path.features(one.at(rate)[:longest])[0].cpu().numpy() for one in recordings]
        cells = np.concatenate(heard)
        return cls(cells.mean(axis=0), float(cells.min()), float(cells.max()))


class Sounding(NamedTuple):
    """A made-up input as a sound, and what the router says when it really hears it."""

    samples: np.ndarray  # (samples,) float32 in [-1, 1] at the base encoder's rate
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Activation:
    """An input on its way to what an encoder's share likes."""

    encoder: str
    step: int
    steps: int
    features: np.ndarray  # (mel frames, mels), with the silence behind it
    before: dict[str, float]  # probabilities at the random start: the control
    after: dict[str, float]  # of `features`

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step == self.steps


def maximise(
    path: RouterPath,
    encoder: str,
    real: RealSounds,
    *,
    steps: int = 100,
    seed: int = 0,
    regularisation: Regularisation | None = None,
) -> Iterator[Activation]:
    """Raise the router's log-probability of an encoder by changing a log-mel input.

    Args:
        path: Base encoder and router.
        encoder: Which one.
        real: Where the input has to stay.
        steps: Of Adam, 1 to 500.
        seed: Of the random start and the jitter.
        regularisation: None for the usual one.

    Yields:
        The start, every fifth step and the last one.

    Raises:
        ConfigError: If there is no such encoder, or `steps` is outside.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise ConfigError(f"steps must be 1 to {MAX_STEPS}, found {steps}")
    rules = regularisation or Regularisation()
    place, samples = path.place(encoder), round(SECONDS * path.base.sample_rate)
    device = next(path.base.parameters()).device
    draw = torch.Generator().manual_seed(seed)
    blank = path.features(np.zeros(samples, dtype=np.float32))  # (1, mel frames, mels)
    mean = torch.from_numpy(real.mean).to(device)
    count = samples // path.settings.hop  # mel frames that cover the sound
    noise = torch.randn(count, len(mean), generator=draw).to(device)
    cells = _within(mean + START_SPREAD * noise, real).requires_grad_()
    optimizer = torch.optim.Adam([cells], lr=rules.learning_rate)

    def now(step: int) -> Activation:
        features = _with_silence(cells.detach(), blank, real)
        after = path.named(path.probabilities(features, samples)[0])
        return Activation(encoder, step, steps, features[0].cpu().numpy(), start or after, after)

    start: dict[str, float] = {}
    start = now(0).after
    yield now(0)
    for step in range(1, steps + 1):
        shift = int(torch.randint(-rules.jitter, rules.jitter + 1, (), generator=draw))
        shifted = _with_silence(cells.roll(shift, dims=0), blank, real)
        liked = path.logits(shifted, samples).log_softmax(dim=-1)[0, place]
        loss = rules.distance * (cells - mean).square().mean() - liked
        loss = loss + rules.variation * _variation(cells)
        optimizer.zero_grad()
        loss.backward(inputs=[cells])
        optimizer.step()
        with torch.no_grad():
            softer = step % rules.blur_every == 0 and step < steps
            cells.copy_(_within(_blurred(cells, rules.blur) if softer else cells, real))
        if step % REPORT_EVERY == 0 or step == steps:
            yield now(step)


def sounding(path: RouterPath, activation: Activation, *, seed: int = 0) -> Sounding:
    """Turn the input into a sound and route that.

    No sound has exactly this log-mel, so the router may change its mind.

    Args:
        path: That of the activation.
        activation: From `maximise`.
        seed: Of the sound's made-up phase.
    """
    count = round(SECONDS * path.base.sample_rate) // path.settings.hop
    sound = path.base.to_audio(torch.from_numpy(activation.features[:count]), seed=seed)
    samples: np.ndarray = (sound / sound.abs().max().clamp_min(1.0)).numpy()
    shares = path.probabilities(path.features(samples), len(samples))[0]
    return Sounding(samples, path.named(shares))


def shuffled_router(router: nn.Module, seed: int) -> nn.Module:
    """A control: the same router, reading every feature in the place of another one.

    What pleases it shows what maximisation finds in any router, whatever it has learnt.

    Args:
        router: Whose first linear layer reads the features; it stays as it is.
        seed: Of the permutation.
    """
    shuffled = deepcopy(router)
    layer = next(one for one in shuffled.modules() if isinstance(one, nn.Linear))
    order = torch.randperm(layer.in_features, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        layer.weight.copy_(layer.weight[:, order])
    return shuffled


def top_clips(records: Records, encoder: str, count: int = 10) -> pd.DataFrame:
    """The recordings whose data-dependent router gives an encoder most.

    Args:
        records: From `read_records`.
        encoder: Which one.
        count: How many recordings at most.

    Returns:
        The records' columns and `probability`, highest first, one row per recording: its best.

    Raises:
        RecordsError: If the records know no such encoder or router.
    """
    if encoder not in records.encoders:
        known = ", ".join(records.encoders) or "none"
        raise RecordsError(f"the records are of a mixture without {encoder}; it has {known}")
    shares = records.probabilities("dependent")[:, records.encoders.index(encoder)]
    table = records.table.assign(probability=shares)
    table = table.sort_values("probability", ascending=False, kind="stable")
    return table.drop_duplicates(["sha256", "clip_start", "clip_end"]).head(count)


def _with_silence(cells: Tensor, blank: Tensor, real: RealSounds) -> Tensor:
    """The input as the base encoder gets a sound of this length: silence at its floor behind."""
    floor = (cells.detach().max() - RANGE).clamp_min(real.low)
    behind = floor.expand(blank.shape[1] - len(cells), cells.shape[1])
    return torch.cat([cells, behind])[None]


def _within(cells: Tensor, real: RealSounds) -> Tensor:
    """In the range of real sounds, and no cell further below the loudest than Whisper keeps."""
    cells = cells.detach().clamp(real.low, real.high)
    return cells.maximum(cells.max() - RANGE)


def _variation(cells: Tensor) -> Tensor:
    return cells.diff(dim=0).abs().mean() + cells.diff(dim=1).abs().mean()


def _blurred(cells: Tensor, spread: float) -> Tensor:
    """Gaussian blur over both axes; edges are repeated."""
    reach = 2
    places = torch.arange(-reach, reach + 1, device=cells.device)
    weights = torch.exp(-0.5 * (places / spread) ** 2)
    kernel = torch.outer(weights, weights)
    padded = functional.pad(cells[None, None], (reach,) * 4, mode="replicate")
    return functional.conv2d(padded, (kernel / kernel.sum())[None, None])[0, 0]
