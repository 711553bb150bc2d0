"""Fit the labels of a set anew, on the mean and deviation of base frames, in a finished checkpoint.

`python -m mowe.training.labels CHECKPOINT --sets language --manifest FILE --features FOLDER --out
FOLDER`: logistic regression instead of gradient steps (decision 0015). Nothing else of the
checkpoint changes: the language model reads the label's words in the same place.
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
from torch import Tensor, nn

from mowe.adapter import NONE, ReadingAdapter
from mowe.adapter.naming import frame_statistics
from mowe.checkpoint import MoWE, load_trained, read_config, read_trained, write_checkpoint
from mowe.errors import ConfigError, MoweError
from mowe.training.align import SOUND, labels_of
from mowe.training.features import FeatureStore, Sound
from mowe.training.manifest import Example, read_manifest

CLIPS = 120  # most clips of a label, evenly from its speakers
STRENGTH = 0.01  # inverse of the penalty on weights: few people speak each language
# Mean probability of the likeliest label on the training clips: about what the language model met
# while it learnt to quote labels.
CONFIDENCE = 0.95
_TOGETHER = 16  # clips whose frames are read at once


@dataclass(frozen=True)
class Fitted:
    """One set's classifier over the statistics of base frames."""

    weight: np.ndarray  # (labels, 2 * base_dim)
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
    found = []
    for place, label in enumerate(labels):
        queues = [rng.sample(queue, len(queue)) for _, queue in sorted(groups[label].items())]
        kept: list[Example] = []
        while len(kept) < clips and any(queues):
            kept += [queue.pop() for queue in queues if queue]
        found += [(one, place) for one in kept[:clips]]
    return found


def statistics(store: FeatureStore, examples: Sequence[Example]) -> np.ndarray:
    """`frame_statistics` of the clips' base frames, `(clips, 2 * base_dim)`."""
    store.fill([Sound(one) for one in examples], weak=False)
    rows = []
    for start in range(0, len(examples), _TOGETHER):
        base = store.base(examples[start : start + _TOGETHER])
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
    checkpoint: Path, manifest: Path, features: Path, sets: Sequence[str], *, seed: int = 0
) -> tuple[MoWE, Mapping[str, Fitted]]:
    """The checkpoint's model with new classifiers for some sets.

    Raises:
        ConfigError: If the checkpoint does not name such sets, or a label has no clip.
        CheckpointError: If the checkpoint cannot be read.
        ManifestError: If the manifest is wrong.
        AudioError: If a recording cannot be used.
    """
    config = read_config(checkpoint)
    unknown = [name for name in sets if name not in config.adapter.names]
    if unknown:
        raise ConfigError(
            f"{checkpoint} does not name {', '.join(unknown)}; its sets are "
            f"{', '.join(config.adapter.names) or 'none'}"
        )
    pooled = tuple(dict.fromkeys((*config.adapter.statistics, *sets)))
    model = MoWE.from_config(
        replace(config, adapter=replace(config.adapter, statistics=pooled)), device="cpu"
    )
    store, examples = FeatureStore(model, features), read_manifest(manifest, split="train")
    state, found = dict(read_trained(checkpoint)), {}
    for name in sets:
        drawn = draw(examples, name, (NONE, *config.adapter.names[name]), CLIPS, seed)
        points = statistics(store, [one for one, _ in drawn])
        found[name] = fit(points, [place for _, place in drawn])
        state |= _tensors(model, name, found[name])
    load_trained(model, state)
    return model, found


def _tensors(model: MoWE, name: str, fitted: Fitted) -> dict[str, Tensor]:
    """The classifier's tensors; fused features of weak encoders count for nothing."""
    adapter = model.adapter
    assert isinstance(adapter, ReadingAdapter)
    layer, base_dim = adapter.namer.label[name], model.base_encoder.dim
    assert isinstance(layer, nn.Linear)
    weight = torch.zeros_like(layer.weight)
    fused_dim = weight.shape[1] // 2
    for part in range(2):  # means, deviations
        columns = fitted.weight[:, part * base_dim : (part + 1) * base_dim]
        weight[:, part * fused_dim : part * fused_dim + base_dim] = torch.from_numpy(columns)
    prefix = f"adapter.namer.label.{name}"
    return {f"{prefix}.weight": weight, f"{prefix}.bias": torch.from_numpy(fitted.bias).float()}


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m mowe.training.labels", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of a finished checkpoint")
    parser.add_argument("--sets", nargs="+", required=True, help="such as language")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True, help="cache of base features")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="of the draw of clips")
    given = parser.parse_args(arguments)
    try:
        model, found = refit(
            given.checkpoint, given.manifest, given.features, given.sets, seed=given.seed
        )
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    write_checkpoint(given.out, model.config, model.trained_state())
    for name, one in found.items():
        print(f"{name}: {one.clips} clips, {one.trained:.2f} of them told right")
    print(f"checkpoint: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
