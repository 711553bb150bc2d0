"""Which parts of a recording speak for an encoder: integrated gradients on the log-mel input.

What is attributed is the margin of the encoder's logit over the strongest other encoder's. The
softmax ignores whatever lifts all logits alike, so a single logit also holds what decides nothing;
the margin holds exactly what has to be above 0 for the encoder to be chosen.

Source: Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", through captum.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mowe.analysis.attribution.router_path import RouterPath
from mowe.audio import Recording
from mowe.encoders.mel import MelSettings, band_hertz, mel_filters
from mowe.errors import AudioError

PIECES = 8  # of the straight path from silence to the recording, each integrated by itself
STEPS = 8  # gradients on a piece, at the points of Gauss and Legendre
MAX_SPLITS = 8  # of pieces, where the tolerance is not reached
# Near silence float32 moves a logit of Whisper's by 0.1, so nothing finer can be asked for.
TOLERANCE, MIN_TOLERANCE = 0.05, 0.25  # share of the difference; logits
LEVELS = (0.01, 0.05, 0.1, 0.2, 0.5)  # shares of the cells that `deletion` tries
REGION_FRAMES, REGION_BANDS = 20, 8  # mel frames (0.2 s) and bands of one region

Scalar = Callable[[Tensor], Tensor]  # (batch, ...) to (batch,)


class Integral(NamedTuple):
    """Integrated gradients so far."""

    values: Tensor  # like the input
    difference: float  # function(input) - function(baseline)
    gap: float  # sum of the values minus the difference, over what is integrated
    gradients: int  # computed so far
    finished: bool

    @property
    def tolerance(self) -> float:
        """Largest gap that counts as complete, in the unit of the function."""
        return max(MIN_TOLERANCE, TOLERANCE * abs(self.difference))


class _Piece(NamedTuple):
    start: float  # on the path from baseline (0) to input (1)
    end: float
    values: Tensor
    gap: float


@dataclass(frozen=True)
class Attribution:
    """What drove the router towards an encoder, in one window of a recording."""

    encoder: str
    rival: str  # the strongest other encoder
    start: float  # of the window, s
    sound_seconds: float  # from there; what follows is padding and silence
    samples: np.ndarray  # (samples,) float32 of the window at `settings.sample_rate`
    settings: MelSettings
    features: np.ndarray  # (mel frames, mels) log-mel, with the silence behind the window
    silence: np.ndarray  # (mel frames, mels) the baseline: log-mel of zeros
    values: np.ndarray  # (mel frames, mels) logits of margin; positive speaks for the encoder
    probabilities: dict[str, float]  # of the recording
    silence_probabilities: dict[str, float]  # of the baseline
    difference: float  # logits; margin of the recording minus margin of silence
    gap: float  # logits; sum of the values minus the difference
    tolerance: float  # logits; largest gap that counts as complete
    gradients: int
    finished: bool

    @property
    def complete(self) -> bool:
        """Whether the values add up to the difference within the tolerance."""
        return self.finished and abs(self.gap) <= self.tolerance

    @property
    def frames_per_second(self) -> float:
        """Rate of the mel frames, Hz."""
        return self.settings.sample_rate / self.settings.hop


class Region(NamedTuple):
    """A part of the spectrogram and its share of all positive attribution."""

    start: float  # s in the recording
    end: float
    low: float  # Hz
    high: float
    share: float


class Deletion(NamedTuple):
    """The encoder's probability when cells are set to silence."""

    level: float  # share of the cells that is meant
    cells: int
    kept: float  # only the strongest cells left
    kept_random: float  # only as many random cells left, mean over draws
    removed: float  # all but the strongest cells left
    removed_random: float


def attribute(
    path: RouterPath,
    recording: Recording,
    encoder: str = "",
    *,
    window: int = 0,
    **cuts: int,
) -> Iterator[Attribution]:
    """Attribute the router's margin for an encoder; the last item is `finished`.

    Args:
        path: Base encoder and router.
        recording: What was routed.
        encoder: For which one; empty for the one that the router prefers.
        window: Which of the windows that the model hears, from 0.
        cuts: `pieces` and `splits` of `integrated_gradients`.

    Raises:
        AudioError: If there is no such window.
        ConfigError: If there is no such encoder.
    """
    spans = recording.windows(path.window_seconds)
    if not 0 <= window < len(spans):
        raise AudioError(
            f"{recording.name} has {len(spans)} windows, window {window + 1} is not there"
        )
    cut = recording.window(*spans[window])
    samples = cut.at(path.base.sample_rate)
    features = path.features(samples)  # (1, mel frames, mels)
    silence = path.features(np.zeros_like(samples))
    shares, quiet = path.probabilities(torch.cat([features, silence]), len(samples))
    place = path.place(encoder) if encoder else int(shares.argmax())
    rival = int(np.where(np.arange(len(shares)) == place, -1.0, shares).argmax())

    def margin(inputs: Tensor) -> Tensor:
        logits = path.logits(inputs, len(samples))
        return logits[:, place] - logits[:, rival]

    batch = path.batch(features.shape[1])
    for integral in integrated_gradients(margin, features, silence, batch=batch, **cuts):
        yield Attribution(
            encoder=path.names[place],
            rival=path.names[rival],
            start=spans[window][0],
            sound_seconds=cut.seconds - cut.treatment.padded_seconds,
            samples=samples,
            settings=path.settings,
            features=features[0].cpu().numpy(),
            silence=silence[0].cpu().numpy(),
            values=integral.values[0].cpu().numpy(),
            probabilities=path.named(shares),
            silence_probabilities=path.named(quiet),
            difference=integral.difference,
            gap=integral.gap,
            tolerance=integral.tolerance,
            gradients=integral.gradients,
            finished=integral.finished,
        )


def integrated_gradients(
    function: Scalar,
    inputs: Tensor,
    baseline: Tensor,
    *,
    batch: int = STEPS,
    pieces: int = PIECES,
    splits: int = MAX_SPLITS,
) -> Iterator[Integral]:
    """Integrate gradients from the baseline to the input until they add up.

    The path is cut into pieces whose exact difference is known, so the piece with the largest error
    is the one to cut again.

    Args:
        function: What is attributed.
        inputs: One example, `(1, ...)`.
        baseline: Of the same shape.
        batch: Points of the path in one pass.
        pieces: Of the path, each of `STEPS` gradients.
        splits: Pieces cut in two at most, where the tolerance is not reached.

    Yields:
        The integral after every piece; the last one is `finished`.
    """
    from captum.attr import IntegratedGradients  # not with the page: it brings matplotlib

    rule, step = IntegratedGradients(function), inputs - baseline

    @torch.no_grad()
    def height(place: float) -> float:
        return float(function(baseline + place * step))

    def integrate(start: float, end: float) -> _Piece:
        values = rule.attribute(
            baseline + end * step,
            baselines=baseline + start * step,
            n_steps=STEPS,
            internal_batch_size=batch,
        ).detach()
        gap = float(values.sum(dtype=torch.float64)) - (height(end) - height(start))
        return _Piece(start, end, values, gap)

    def total(finished: bool = False) -> Integral:
        values = torch.stack([piece.values for piece in done]).sum(dim=0)
        gap = sum(piece.gap for piece in done)
        return Integral(values, difference, gap, STEPS * (2 * len(done) - pieces), finished)

    difference = height(1.0) - height(0.0)
    done: list[_Piece] = []
    for number in range(pieces):
        done.append(integrate(number / pieces, (number + 1) / pieces))
        yield total()
    while abs(total().gap) > total().tolerance and len(done) < pieces + splits:
        worst = max(done, key=lambda piece: abs(piece.gap))
        middle = (worst.start + worst.end) / 2
        done.remove(worst)
        done += [integrate(worst.start, middle), integrate(middle, worst.end)]
        yield total()
    yield total(finished=True)


def strongest_cells(values: np.ndarray, share: float) -> np.ndarray:
    """The cells with the largest positive attribution.

    Args:
        values: Attribution, any shape.
        share: Of all cells, 0 to 1; fewer where fewer are positive.

    Returns:
        Bool, like `values`.
    """
    count = min(round(share * values.size), int((values > 0).sum()))
    cells = np.zeros(values.size, dtype=bool)
    cells[np.argsort(-values, axis=None, kind="stable")[:count]] = True
    return cells.reshape(values.shape)


def support_share(values: np.ndarray, cells: np.ndarray) -> float:
    """Share of all positive attribution that lies in some cells, 0 to 1."""
    support = np.clip(values, 0, None)
    return float(support[cells].sum() / max(float(support.sum()), 1e-12))


def cells_of_half(values: np.ndarray) -> float:
    """Share of the cells that is enough for half of all positive attribution, 0 to 1."""
    support = np.sort(np.clip(values, 0, None), axis=None)[::-1].cumsum()
    return float((np.searchsorted(support, support[-1] / 2) + 1) / values.size)


def regions(attribution: Attribution, count: int = 10) -> list[Region]:
    """The parts of the spectrogram, 0.2 s by 8 bands, that speak most for the encoder."""
    support = np.clip(attribution.values, 0, None)
    frames, bands = support.shape
    cuts = np.arange(0, frames, REGION_FRAMES), np.arange(0, bands, REGION_BANDS)
    sums = np.add.reduceat(np.add.reduceat(support, cuts[0], axis=0), cuts[1], axis=1)
    edges, rate = band_edges(attribution.settings), attribution.frames_per_second
    total = max(float(support.sum()), 1e-12)
    found = []
    for place in np.argsort(-sums, axis=None, kind="stable")[:count]:
        row, column = np.unravel_index(place, sums.shape)
        first, low = int(cuts[0][row]), int(cuts[1][column])
        found.append(
            Region(
                attribution.start + first / rate,
                attribution.start + min(first + REGION_FRAMES, frames) / rate,
                float(edges[low]),
                float(edges[min(low + REGION_BANDS, bands)]),
                float(sums[row, column]) / total,
            )
        )
    return found


def band_edges(settings: MelSettings) -> np.ndarray:
    """Where one band passes into the next, Hz, `(mels + 1,)`."""
    centres = band_hertz(settings).numpy()
    between = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[settings.low_hz], between, [settings.high_hz]])


def mask_audio(samples: np.ndarray, mask: np.ndarray, settings: MelSettings) -> np.ndarray:
    """The sound with each time-frequency cell made softer by a mask over mel cells.

    Args:
        samples: `(samples,)` float32 at `settings.sample_rate`.
        mask: What is kept of each cell, 0 to 1, `(mel frames, mels)`; frames behind the sound are
            ignored.
        settings: Of the log-mel that the mask belongs to.

    Returns:
        `(samples,)` float32; the sound itself where the mask is 1 everywhere.
    """
    size, hop, window = settings.fft_size, settings.hop, torch.hann_window(settings.fft_size)
    sound = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None]
    spectrum = torch.stft(sound, size, hop, window=window, return_complex=True)  # (1, bins, frames)
    gains = torch.from_numpy(mask.astype(np.float32)) @ _bin_weights(settings).T
    missing = max(0, spectrum.shape[2] - len(gains))  # the frame around the last sample
    gains = functional.pad(gains.T[None], (0, missing), mode="replicate")
    muted = spectrum * gains[:, :, : spectrum.shape[2]]
    kept = torch.istft(muted, size, hop, window=window, length=len(samples))
    masked: np.ndarray = kept[0].numpy()
    return masked


def deletion(
    path: RouterPath,
    attribution: Attribution,
    *,
    levels: Sequence[float] = LEVELS,
    draws: int = 3,
    seed: int = 0,
) -> Iterator[Deletion]:
    """Whether the attribution is faithful: hear the recording with cells set to silence.

    Cells that matter make the encoder likely by themselves and unlikely by their absence; as many
    random cells do neither.

    Args:
        path: That of the attribution.
        attribution: A finished one.
        levels: Shares of the cells.
        draws: Of random cells, for their mean.
        seed: Of the draws.

    Yields:
        One item for each level.
    """
    rng = np.random.default_rng(seed)
    device, place = next(path.base.parameters()).device, path.place(attribution.encoder)
    heard, quiet = attribution.features, attribution.silence
    for level in levels:
        strongest = strongest_cells(attribution.values, level)
        masks = [strongest, *(rng.permuted(strongest.ravel()) for _ in range(draws))]
        kept = np.stack([mask.reshape(heard.shape) for mask in masks])
        inputs = np.where(np.concatenate([kept, ~kept]), heard, quiet)
        shares = path.probabilities(torch.from_numpy(inputs).to(device), len(attribution.samples))
        left, without = shares[:, place].reshape(2, 1 + draws)
        yield Deletion(
            level,
            int(strongest.sum()),
            float(left[0]),
            float(left[1:].mean()),
            float(without[0]),
            float(without[1:].mean()),
        )


def _bin_weights(settings: MelSettings) -> Tensor:
    """How much each mel band has to say about each linear bin, `(bins, mels)`; rows sum to 1."""
    filters = mel_filters(settings, torch.device("cpu"))
    triangles = filters / filters.amax(dim=0)
    heard = triangles.sum(dim=1) > 0
    bins = torch.arange(len(filters))
    # the outermost bins lie in no band and follow their neighbour
    nearest = (bins[:, None] - bins[heard]).abs().argmin(dim=1)
    triangles = triangles[heard][nearest]
    return triangles / triangles.sum(dim=1, keepdim=True)
