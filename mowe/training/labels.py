"""Fit names anew, on the mean and deviation of frames, in a finished checkpoint.

`python -m mowe.training.labels CHECKPOINT --sets language sound --manifest FILE --features FOLDER
--out FOLDER`: logistic regression instead of gradient steps, of the labels of a set (decision 0015)
or of the sounds along time (`sound`, decision 0018). With `--decoded` the decoder that writes
transcripts tells the language from then on, and only whether anybody speaks is fitted. Nothing else
of the checkpoint changes: the language model reads the names' words in the same place.
"""

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from tqdm import tqdm

from mowe.checkpoint import MoWE, load_trained, read_config, read_trained, write_checkpoint
from mowe.config import MoWEConfig, NamingConfig
from mowe.data.features import FeatureStore
from mowe.data.manifest import Example, read_manifest
from mowe.data.sampling import Sound
from mowe.errors import ConfigError, MoweError
from mowe.hints.naming import (
    LANGUAGE,
    NONE,
    SOUNDS,
    frame_statistics,
    stretch_statistics,
    stretches,
)
from mowe.training.align import SOUND, events_of, labels_of

CLIPS = 120  # most clips of a label, evenly from its speakers
ROWS = 800  # most clips with several sounds
# Of a decoder's languages those that come first, up to Lithuanian; after them come Latin and Maori,
# which it hears in much that is neither.
COMMON = 35
STRENGTH = 0.01  # inverse of the penalty on weights: few people speak each language
# Mean probability of the likeliest label on the training clips: about what the language model met
# while it learnt to quote labels.
CONFIDENCE = 0.95
_TOGETHER = 16  # clips whose frames are read at once
_AROUND = "adapter.namer.around"  # what `sound` is told from


@dataclass(frozen=True)
class Fitted:
    """One set's classifier over statistics of frames: base frames for labels, fused for sounds."""

    weight: np.ndarray  # (labels, 2 * dim)
    bias: np.ndarray  # (labels,)
    trained: float  # share of the training clips that are told right
    clips: int


def draw(
    examples: Sequence[Example], name: str, labels: Sequence[str], clips: int, seed: int
) -> list[tuple[Example, int]]:
    """Clips of each label, evenly from its speakers, with the label's position.

    Raises:
        ConfigError: If a label has no clip.
    """
    groups: dict[str, dict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
    seen = set()
    for one in examples:
        label = labels_of(one).get(name)
        if one.audio is None or one.task not in (name, SOUND) or (one.clip, label) in seen:
            continue
        seen.add((one.clip, label))
        groups[str(label)][str(one.metadata.get("speaker") or "")].append(one)
    missing = [label for label in labels if label not in groups]
    if missing:
        raise ConfigError(f"no clip of the manifest has the {name} {', '.join(missing)}")
    rng = random.Random(f"{seed}:{name}")
    return [
        (one, place)
        for place, label in enumerate(labels)
        for one in _evenly(groups[label], clips, rng)
    ]


def _evenly(
    groups: Mapping[str, Sequence[Example]], clips: int, rng: random.Random
) -> list[Example]:
    """At most `clips` examples, one of each group in turn."""
    queues = [rng.sample(queue, len(queue)) for _, queue in sorted(groups.items())]
    kept: list[Example] = []
    while len(kept) < clips and any(queues):
        kept += [queue.pop() for queue in queues if queue]
    return kept[:clips]


def draw_sounds(
    examples: Sequence[Example], events: Sequence[str], clips: int, rows: int, seed: int
) -> list[tuple[Example, list[int]]]:
    """Clips of one sound each, evenly from their sources, and clips of several in a row.

    Args:
        examples: Of a manifest.
        events: The sounds' names.
        clips: Most of each sound alone.
        rows: Most of several sounds.
        seed: Of the draw.

    Returns:
        Clips with the positions of their sounds, in the order they are heard.

    Raises:
        ConfigError: If a sound has no clip of its own.
    """
    places = {name: place for place, name in enumerate(events)}
    alone: dict[str, dict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
    several, seen = [], set()
    for one in examples:
        heard = events_of(one)
        if one.audio is None or one.clip in seen or not heard or not places.keys() >= set(heard):
            continue
        seen.add(one.clip)
        if len(heard) == 1:
            alone[heard[0]][str(one.metadata.get("source") or "")].append(one)
        else:
            several.append((one, [places[name] for name in heard]))
    if missing := [name for name in events if name not in alone]:
        raise ConfigError(f"no clip of the manifest is only {', '.join(missing)}")
    rng = random.Random(f"{seed}:{SOUNDS}")
    drawn = [(one, [places[name]]) for name in events for one in _evenly(alone[name], clips, rng)]
    return drawn + rng.sample(several, min(rows, len(several)))


@torch.no_grad()
def around_sounds(
    model: MoWE, store: FeatureStore, clips: Sequence[tuple[Example, Sequence[int]]]
) -> tuple[np.ndarray, list[int]]:
    """`frame_statistics` of the fused frames around each sound, under the learned routing.

    A lone sound has the whole clip. Where the model hears another number of sounds than there are,
    nobody knows which is which, and the clip is left out.

    Returns:
        `(sounds, 2 * fused_dim)`, and the position of each.
    """
    points: list[np.ndarray] = []
    places: list[int] = []
    size = model.config.adapter.frames_per_token
    store.fill([Sound(one) for one, _ in clips], weak=False)
    for start in tqdm(range(0, len(clips), _TOGETHER), desc="sounds", mininterval=5):
        batch = clips[start : start + _TOGETHER]
        features = store.features([Sound(one) for one, _ in batch])
        fused, mask = model.fuse(features), features.base.mask
        _, said = model.adapter(fused, mask).notes.events.best()
        for row, (_, heard) in enumerate(batch):
            found = [0] if len(heard) == 1 else said[row].nonzero().squeeze(1).tolist()
            if len(found) != len(heard):
                continue
            spans = stretches(found, said.shape[1])
            points.append(stretch_statistics(fused[row, mask[row]], spans, size).cpu().numpy())
            places += heard
    return np.concatenate(points), places


def of_clips(
    store: FeatureStore, examples: Sequence[Example], name: str, config: NamingConfig, seed: int
) -> tuple[np.ndarray, list[int]]:
    """`statistics` of drawn clips of a set's labels, and the position of each one's label.

    Of languages that a decoder tells, 0 is none and 1 any; a language without a clip is no matter.
    """
    decoded, labels = name == LANGUAGE and config.decoded, config.names[name]
    if decoded:
        known = {labels_of(one).get(name) for one in examples}
        labels = tuple(label for label in labels if label in known)
    drawn = draw(examples, name, (NONE, *labels), CLIPS, seed)
    places = [min(place, 1) if decoded else place for _, place in drawn]
    return statistics(store, [one for one, _ in drawn]), places


def statistics(store: FeatureStore, examples: Sequence[Example]) -> np.ndarray:
    """`frame_statistics` of the clips' base frames, `(clips, 2 * base_dim)`."""
    sounds = [Sound(one) for one in examples]
    store.fill(sounds, weak=False)
    rows = []
    for start in range(0, len(sounds), _TOGETHER):
        base = store.base(sounds[start : start + _TOGETHER])
        rows.append(frame_statistics(base.frames, base.mask).cpu().numpy())
    return np.concatenate(rows)


def fit(points: np.ndarray, places: Sequence[int]) -> Fitted:
    """Logistic regression on standardised points, sharpened to `CONFIDENCE`.

    Args:
        points: `(clips, dim)`.
        places: Each clip's label, every one from 0 on.
    """
    scaler = StandardScaler().fit(points)
    model = LogisticRegression(C=STRENGTH, max_iter=2000)
    model.fit(scaler.transform(points), places)
    coefficients, bias = model.coef_, model.intercept_
    if len(coefficients) == 1:  # two labels have one row, of the second
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        bias = np.concatenate([-bias, bias]) / 2
    weight = coefficients / scaler.scale_
    bias = bias - weight @ scaler.mean_
    logits = points @ weight.T + bias
    sharper = _sharpening(logits)
    right = float(np.mean(logits.argmax(axis=1) == np.asarray(places)))
    return Fitted(weight * sharper, bias * sharper, right, len(points))


def _sharpening(logits: np.ndarray) -> float:
    """The factor at which the mean top probability is `CONFIDENCE`."""
    low, high = 0.0, 1e4
    centred = logits - logits.max(axis=1, keepdims=True)
    for _ in range(60):
        factor = (low + high) / 2
        confidence = float(np.mean(1 / np.exp(centred * factor).sum(axis=1)))
        low, high = (factor, high) if confidence < CONFIDENCE else (low, factor)
    return high


def refit(
    checkpoint: Path,
    manifest: Path,
    features: Path,
    sets: Sequence[str],
    *,
    decoded: bool = False,
    seed: int = 0,
) -> tuple[MoWE, Mapping[str, Fitted]]:
    """The checkpoint's model with new classifiers for some sets.

    Args:
        checkpoint: Its folder.
        manifest: Its `train` lines are fitted to.
        features: Cache of base features.
        sets: Names of sets, or `sound`.
        decoded: The decoder of transcripts shall tell the language, with `language` among the sets.
        seed: Of the draw of clips.

    Raises:
        ConfigError: If the checkpoint does not name such sets, or a label has no clip.
        CheckpointError: If the checkpoint cannot be read.
        ManifestError: If the manifest is wrong.
        AudioError: If a recording cannot be used.
    """
    config = read_config(checkpoint)
    names = _names(config)
    known = [*names.names, *([SOUNDS] if names.events else [])]
    if unknown := [name for name in sets if name not in known]:
        raise ConfigError(
            f"{checkpoint} does not name {', '.join(unknown)}; its sets are "
            f"{', '.join(known) or 'none'}"
        )
    if decoded and LANGUAGE not in sets:
        raise ConfigError(f"a decoder tells the set {LANGUAGE!r}, the sets are {', '.join(sets)}")
    state = dict(read_trained(checkpoint))
    tokens_only = tuple(name for name in names.statistics if name != SOUNDS)
    model = _with_statistics(config, tokens_only)
    load_trained(model, {name: one for name, one in state.items() if not name.startswith(_AROUND)})
    model.eval()
    store, examples = FeatureStore(model, features), read_manifest(manifest, split="train")
    found = {}
    if decoded:
        config = _with_decoder(model)
        names = _names(config)
    for name in sets:
        if name == SOUNDS:
            clips = draw_sounds(examples, names.events, CLIPS, ROWS, seed)
            found[name] = fit(*around_sounds(model, store, clips))
        else:
            found[name] = fit(*of_clips(store, examples, name, names, seed))
    told = tuple(dict.fromkeys((*names.statistics, *sets)))
    model = _with_statistics(config, told)
    for name, fitted in found.items():
        state |= _tensors(model, name, fitted)
    load_trained(model, state)
    return model, found


def _names(config: MoWEConfig) -> NamingConfig:
    """What a mixture names.

    Raises:
        ConfigError: If it names nothing.
    """
    if not isinstance(config.adapter, NamingConfig):
        raise ConfigError(f"{config.preset!r} has no naming adapter, found {config.adapter.kind!r}")
    return config.adapter


def _with_statistics(config: MoWEConfig, told: tuple[str, ...]) -> MoWE:
    adapter = replace(_names(config), statistics=told)
    return MoWE.from_config(replace(config, adapter=adapter), device="cpu")


def _with_decoder(model: MoWE) -> MoWEConfig:
    """The decoder tells the languages that it knows best, and those that the checkpoint knows.

    Raises:
        ConfigError: If the mixture writes no transcripts.
    """
    config, transcriber = model.config, model.hints.transcriber
    if transcriber is None:
        raise ConfigError(f"{config.preset} has no decoder of transcripts (hints.transcript)")
    own = _names(config)
    languages = sorted({*own.names[LANGUAGE], *transcriber.languages[:COMMON]})
    names = {**own.names, LANGUAGE: tuple(languages)}
    return replace(config, adapter=replace(own, names=names, decoded=True))


def _tensors(model: MoWE, name: str, fitted: Fitted) -> dict[str, Tensor]:
    """The classifier's tensors; of labels, features of weak encoders count for nothing."""
    bias, columns = torch.from_numpy(fitted.bias).float(), torch.from_numpy(fitted.weight).float()
    if name == SOUNDS:
        return {f"{_AROUND}_weight": columns, f"{_AROUND}_bias": bias}
    weight = torch.zeros_like(model.adapter.get_parameter(f"namer.label.{name}.weight"))
    fused_dim, base_dim = weight.shape[1] // 2, model.base_encoder.dim
    for part in range(2):  # means, deviations
        to, of = part * fused_dim, part * base_dim
        weight[:, to : to + base_dim] = columns[:, of : of + base_dim]
    prefix = f"adapter.namer.label.{name}"
    return {f"{prefix}.weight": weight, f"{prefix}.bias": bias}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m mowe.training.labels", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of a finished checkpoint")
    parser.add_argument("--sets", nargs="+", required=True, help="such as language; or sound")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True, help="cache of base features")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--decoded", action="store_true", help="the decoder of transcripts tells the language"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draw of clips")
    given = parser.parse_args(arguments)
    try:
        model, found = refit(
            given.checkpoint,
            given.manifest,
            given.features,
            given.sets,
            decoded=given.decoded,
            seed=given.seed,
        )
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    write_checkpoint(given.out, model.config, model.trained_state())
    for name, one in found.items():
        print(f"{name}: {one.clips} examples, {one.trained:.2f} of them told right")
    print(f"checkpoint: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
