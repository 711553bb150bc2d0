"""What in a spectrogram drives the routers, and what an encoder would be chosen for.

Routers that have collapsed are left out: they prefer one encoder whatever they hear.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mowe import weights
from mowe.analysis.attribution.activation import (
    SECONDS,
    RealSounds,
    maximise,
    shuffled_router,
    sounding,
)
from mowe.analysis.attribution.gradients import attribute, band_edges, deletion
from mowe.analysis.attribution.router_path import RouterPath
from mowe.data.ledger import Ledger
from mowe.encoders import build_encoder
from mowe.encoders.base import AudioEncoder
from mowe.experiments import judge
from mowe.experiments.arms import POOL
from mowe.experiments.bank import BASE, CONFIGS, clips_fingerprint, loudest_part
from mowe.experiments.judge import short
from mowe.experiments.labelled import Labelled
from mowe.experiments.runs import fingerprint
from mowe.experiments.study import StudiedArm, Study, point, signed, told, which
from mowe.model.routing import pool_frames

LEVEL = 0.2  # share of the cells that the deletion check keeps or removes
BANDS = 8  # mel bands that are told of together
STEPS = 15  # of activation maximisation
NEAREST = 10  # real clips that are looked at beside an input
_CLIPS = 3  # of a task whose spectrogram is attributed
_PIECES = 2  # of the path of integrated gradients, not halved: a mean over clips needs less

_Row = Mapping[str, Any]
_CHECKS = {
    "kept": f"strongest {LEVEL:.0%} of the cells alone",
    "kept_random": "as many random cells alone",
    "removed": f"without the strongest {LEVEL:.0%}",
    "removed_random": "without as many random cells",
}
LOUDNESS = "loudness of the clips"
_MADE_UP = {  # words, and whether it is a control
    "start": ("random start", True),
    "made_up": ("made-up input", False),
    "control": ("made-up input of the shuffled router, heard by it", True),
    "sounding": ("made-up input as a sound", False),
    "near": ("real clips near the made-up input", False),
    "near_control": ("real clips near the control's input", True),
    "all": ("all real clips", True),
    "top": (f"top {NEAREST} real clips", False),
}


@dataclass(frozen=True)
class _Looks:
    """Looks into routers, written down as they are made."""

    study: Study
    folder: Path
    base: AudioEncoder = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        config = CONFIGS[BASE]
        base = build_encoder(config, weights.resolve(config.source)).requires_grad_(False)
        settings = {
            "clips": clips_fingerprint(self.study.data.clips),
            "settings": [LEVEL, BANDS, STEPS, NEAREST, _PIECES],
        }
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "ledger", Ledger(self.folder / "drivers.jsonl", settings))

    def path(self, asked: StudiedArm, seed: int) -> RouterPath:
        """To the router of a seed."""
        router = asked.probes[seed].router
        assert router is not None
        assert router.dependent is not None
        return RouterPath(self.base, router.dependent, asked.arm.pool)

    def kept(
        self, asked: StudiedArm, seed: int, name: str, make: Callable[[RouterPath], dict[str, Any]]
    ) -> _Row:
        """What was written down of a seed's router, else what is made now."""
        by = f"{fingerprint(asked.arm)} {seed}"
        if (row := self.ledger.find(by, name)) is None:
            row = {"id": name, **make(self.path(asked, seed))}
            self.ledger.add(by, row)
        return row


def spectrogram(study: Study, folder: Path) -> dict[str, Any]:
    """Which bands speak for the encoder that is chosen, and whether its strongest cells do."""
    looks, points, answers, details = _Looks(study, folder), [], [], []
    tasks = study.held.rows.tasks[study.some]
    kept = np.zeros(len(tasks), dtype=bool)
    for task in np.unique(tasks):
        kept[np.flatnonzero(tasks == task)[:_CLIPS]] = True
    rows, clips = study.rows(kept), [study.held.clips[place] for place in study.some[kept].tolist()]
    edges: list[float] = []
    for asked in study.arms:
        if not asked.spread:
            answers.append(_collapsed(asked))
            continue
        found = [
            [
                looks.kept(asked, seed, f"cells of {clip.example.clip}", partial(_attributed, clip))
                for clip in clips
            ]
            for seed in asked.spread
        ]
        edges = found[0][0]["edges"]
        checks = {
            name: np.array([[one[name] for one in of_seed] for of_seed in found])
            for name in _CHECKS
        }
        points += [
            point(asked.arm.name, words, checks[name], rows, control="random" in name)
            for name, words in _CHECKS.items()
        ]
        profiles = _profiles([one for of_seed in found for one in of_seed])
        details += [[asked.arm.name, name, count, *bands] for name, count, bands in profiles]
        answers.append(_of_cells(asked.arm.name, checks, profiles, edges, rows))
    bands = [f"{low:.0f}-{high:.0f} Hz" for low, high in pairwise(edges)]
    return {
        "name": "spectrogram",
        "question": "Which part of the spectrogram decides?",
        "unit": "probability of the encoder that is chosen",
        "answers": answers,
        "points": points,
        "bands": bands,
        "details": {"columns": ["Arm", "Encoder", "Clips", *bands], "rows": details},
    }


def _attributed(clip: Labelled, path: RouterPath) -> dict[str, Any]:
    *_, found = attribute(path, loudest_part(clip), pieces=_PIECES, splits=0)
    [check] = deletion(path, found, levels=(LEVEL,), draws=2)
    loud = found.features - found.features.min()
    return {
        "encoder": found.encoder,
        "bands": _by_band(np.clip(found.values, 0, None)),
        "loudness": _by_band(loud),
        "edges": [short(one) for one in band_edges(found.settings)[::BANDS]],
        "gap": short(abs(found.gap) / max(abs(found.difference), 1.0)),
        **{name: short(getattr(check, name)) for name in _CHECKS},
    }


def _by_band(cells: np.ndarray) -> list[float]:
    """Share of some bands together, `(mel frames, mels)` to `(mels / BANDS,)`."""
    sums = cells.sum(axis=0).reshape(-1, BANDS).sum(axis=1)
    return [short(one) for one in sums / max(float(sums.sum()), 1e-12)]


def _profiles(found: Sequence[_Row]) -> list[tuple[str, int, list[float]]]:
    """Mean bands by the encoder that was chosen, loudness last."""
    by_encoder = {name: [one for one in found if one["encoder"] == name] for name in POOL}
    parts = [(name, some, "bands") for name, some in by_encoder.items() if some]
    return [
        (name, len(some), [short(one) for one in np.mean([row[what] for row in some], axis=0)])
        for name, some, what in (*parts, (LOUDNESS, list(found), "loudness"))
    ]


def _of_cells(
    arm: str,
    checks: Mapping[str, np.ndarray],
    profiles: Sequence[tuple[str, int, list[float]]],
    edges: Sequence[float],
    rows: judge.Rows,
) -> dict[str, Any]:
    kept = judge.compare(checks["kept"], checks["kept_random"], rows)
    removed = judge.compare(checks["removed_random"], checks["removed"], rows)
    sides = sum(round(one.low, 3) > 0 for one in (kept, removed))
    says = (
        "No part that was found: the strongest cells do no more than random ones",
        "Undecided: the strongest cells do more than random ones in one of two checks",
        "The cells found decide: alone they keep the choice and without them it goes, both more "
        "than with random cells",
    )[sides]
    *encoders, (_, _, loudness) = profiles
    counts = [count for _, count, _ in encoders]
    speaks = np.average([bands for *_, bands in encoders], axis=0, weights=counts)
    return {
        "arm": arm,
        "sentence": (
            f"{says}: probability of the choice with {LEVEL:.0%} of the cells alone "
            f"{told(kept, signed)} over random cells, random ones missing over the strongest "
            f"missing {told(removed, signed)}. Half of what speaks for the choice lies below "
            f"{_middle(speaks, edges):.0f} Hz, half of the loudness below "
            f"{_middle(np.array(loudness), edges):.0f} Hz."
        ),
    }


def _middle(bands: np.ndarray, edges: Sequence[float]) -> float:
    """Frequency below which half of it lies, Hz; even within a band."""
    return float(np.interp(0.5, [0.0, *np.cumsum(bands) / bands.sum()], edges))


def preferred_inputs(study: Study, folder: Path) -> dict[str, Any]:
    """What each encoder would be chosen for: made-up inputs, a control, and real clips."""
    looks, points, answers, details = _Looks(study, folder), [], [], []
    dev = study.data.rows("dev")
    read = _read(pool_frames(study.data.bank.of(BASE, dev), study.data.bank.mask(dev)))
    clips = [loudest_part(study.held.clips[place]) for place in study.some.tolist()]
    for asked in study.arms:
        if not asked.spread:
            answers.append(_collapsed(asked))
            continue
        real = RealSounds.of(looks.path(asked, 0), clips)
        found = [
            [
                looks.kept(
                    asked, seed, f"input for {name}",
                    partial(_made_up, name, real, seed, asked.held_out.shares[seed], read),
                )
                for name in asked.arm.pool
            ]
            for seed in asked.spread
        ]  # fmt: skip
        values = {
            name: np.array([[one[name] for one in of_seed] for of_seed in found])
            for name in _MADE_UP
        }
        encoders = np.arange(len(asked.arm.pool))
        rows = judge.Rows(np.zeros_like(encoders), encoders, np.zeros_like(encoders))
        points += [
            point(asked.arm.name, words, values[name], rows, control=control)
            for name, (words, control) in _MADE_UP.items()
        ]
        details += [_of_encoder(study, asked, place, values) for place in encoders.tolist()]
        answers.append(_of_inputs(asked, values, rows))
    return {
        "name": "inputs",
        "question": "What would each encoder be chosen for?",
        "unit": "probability of the encoder",
        "answers": answers,
        "points": points,
        "details": {
            "columns": [
                "Arm", "Encoder", "Chosen for", "Made-up input", "Heard as a sound",
                "Real clips near it", "Real clips near the control",
                f"Tasks of its {NEAREST} top clips a seed", "Labels of these",
            ],
            "rows": details,
        },
    }  # fmt: skip


def _made_up(
    name: str, real: RealSounds, seed: int, shares: np.ndarray, read: Tensor, path: RouterPath
) -> dict[str, Any]:
    """One encoder's share: of an input made for it, as a sound, and of real clips near it.

    Args:
        name: Of the encoder.
        real: Where inputs have to stay.
        seed: Of the start and of the control.
        shares: Of all clips, `(clips, encoders)`.
        read: What the router reads of them, from `_read`.
        path: To the router.
    """
    shuffled = RouterPath(path.base, shuffled_router(path.router, seed), path.names)
    *_, made = maximise(path, name, real, steps=STEPS, seed=seed)
    *_, control = maximise(shuffled, name, real, steps=STEPS, seed=seed)
    of_clips, samples = shares[:, path.place(name)], round(SECONDS * path.base.sample_rate)
    near = [
        of_clips[nearest(path.pooled(torch.from_numpy(one.features)[None], samples)[0], read)]
        for one in (made, control)
    ]
    return {
        "start": short(made.before[name]),
        "made_up": short(made.after[name]),
        "control": short(control.after[name]),
        "sounding": short(sounding(path, made, seed=seed).probabilities[name]),
        "near": short(near[0].mean()),
        "near_control": short(near[1].mean()),
        "all": short(of_clips.mean()),
        "top": short(np.sort(of_clips)[-NEAREST:].mean()),
    }


def _read(pooled: Tensor) -> Tensor:
    """Pooled base frames as a router reads them first, normalised, `(clips, base_dim)`."""
    return F.layer_norm(pooled, pooled.shape[-1:])


def nearest(pooled: Tensor, read: Tensor) -> np.ndarray:
    """Places of the clips whose direction from the mean of all is most like an input's.

    Args:
        pooled: Base frames of the input, `(base_dim,)`.
        read: Of the clips, from `_read`.
    """
    middle = read.mean(dim=0)
    alike = F.cosine_similarity((_read(pooled.detach()) - middle)[None], read - middle)
    places: np.ndarray = alike.topk(NEAREST).indices.numpy()
    return places


def _of_encoder(
    study: Study, asked: StudiedArm, place: int, values: Mapping[str, np.ndarray]
) -> list[Any]:
    """A line of the table: one encoder, over the seeds that spread."""
    shares = asked.held_out.shares[asked.spread][:, :, place]  # (seeds, clips)
    top = [study.held.clips[n] for n in np.argsort(-shares, axis=1)[:, :NEAREST].ravel().tolist()]
    chosen = (asked.held_out.choice[asked.spread] == place).mean()
    return [
        asked.arm.name,
        asked.arm.pool[place],
        short(chosen),
        *(
            short(values[name][:, place].mean())
            for name in ("made_up", "sounding", "near", "near_control")
        ),
        _counted([one.task for one in top], 3),
        _counted([one.label for one in top], 4),
    ]


def _counted(names: Sequence[str], most: int) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common(most))


def _of_inputs(
    asked: StudiedArm, values: Mapping[str, np.ndarray], rows: judge.Rows
) -> dict[str, Any]:
    near = judge.compare(values["near"], values["near_control"], rows)
    says = which(
        near,
        "For what lies near its made-up input: real clips there get more of the encoder than "
        "those near the control's input",
        "Maximisation misleads: real clips near the made-up input get less of the encoder than "
        "those near the control's",
        "Maximisation finds nothing more than the control: real clips near the made-up input get no"
        " more of the encoder than those near the control's",
    )
    made, control = values["made_up"].mean(), values["control"].mean()
    same, chance = agreement(asked.held_out.choice[asked.spread], len(asked.arm.pool))
    sentence = (
        f"{says}, {told(near, signed)}. Any router is pleased by some input: {made:.2f} for the "
        f"trained ones, {control:.2f} for shuffled ones, and {values['sounding'].mean():.2f} once "
        "the input is heard as a sound."
    )
    if len(asked.spread) > 1:
        sentence += f" Two seeds choose alike for {same:.1%} of clips, {chance:.1%} by chance."
    return {"arm": asked.arm.name, "sentence": sentence}


def agreement(choice: np.ndarray, encoders: int) -> tuple[float, float]:
    """How often two seeds choose the same encoder, and how often their shares alone would.

    Args:
        choice: `(seeds, clips)`.
        encoders: In the pool.
    """
    shares = np.stack([np.bincount(one, minlength=encoders) / len(one) for one in choice])
    pairs = list(combinations(range(len(choice)), 2))
    same = [float((choice[one] == choice[other]).mean()) for one, other in pairs]
    chance = [float(shares[one] @ shares[other]) for one, other in pairs]
    return (float(np.mean(same)), float(np.mean(chance))) if pairs else (1.0, 1.0)


def _collapsed(asked: StudiedArm) -> dict[str, Any]:
    return {"arm": asked.arm.name, "sentence": "Nothing decides: its routers have collapsed."}
