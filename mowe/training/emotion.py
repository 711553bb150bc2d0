"""`python -m mowe.training.emotion`: the optional head that guesses feelings, on frozen frames.

It learns from lines of the task `emotion` (RAVDESS, which may not be used commercially), hears a
finished mixture under its learned routing, and goes into a folder of its own.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from mowe.checkpoint import MoWE
from mowe.data.features import FeatureStore
from mowe.data.manifest import Example, read_manifest
from mowe.data.sampling import Sound
from mowe.errors import ConfigError, MoweError
from mowe.hints.emotion import EMOTION, write_emotion
from mowe.hints.heads import UtteranceHeads, fit_temperature, frame_statistics

STEPS, RATE, DECAY = 300, 3e-3, 0.1
_DROPPED = 0.2  # share of the features that a step does not see


def learn(frames: Tensor, labels: Tensor, head: UtteranceHeads, seed: int) -> None:
    """Fit a head to all recordings at once.

    Args:
        frames: Mean and deviation of the fused frames, `(recordings, 2 * fused_dim)`.
        labels: Places of their labels, `(recordings,)` int64.
        head: Learns; its scale is that of `frames`.
        seed: Of what is dropped.
    """
    head.scaled.fit(frames)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    draw = torch.Generator().manual_seed(seed)
    scaled = head.scaled(frames)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        kept = torch.rand(scaled.shape, generator=draw) >= _DROPPED
        hidden = F.gelu(head.hidden(scaled * kept / (1 - _DROPPED)))
        loss = F.cross_entropy(head.outputs[EMOTION](hidden), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def heard(model: MoWE, store: FeatureStore, examples: Sequence[Example]) -> Tensor:
    """Mean and deviation of what is fused, under the learned routing, `(recordings, dim)`."""
    rows = []
    for example in examples:
        features = store.features([Sound(example)])
        rows.append(frame_statistics(model.fuse(features), features.base.mask))
    return torch.cat(rows)


def train_emotion(
    checkpoint: Path, manifest: Path, features: Path, out: Path, seed: int = 0
) -> dict[str, float]:
    """Train the head of a checkpoint, and write it.

    Args:
        checkpoint: Folder of a finished mixture, as it is shipped.
        manifest: With lines of the task `emotion` in the splits train and dev.
        features: Cache.
        out: Folder of the head.
        seed: Of weights and training.

    Returns:
        Shares that are told right, by split.

    Raises:
        ConfigError: If the manifest lacks such lines.
        CheckpointError: If the checkpoint cannot be read.
    """
    model = MoWE.from_pretrained(str(checkpoint))
    store = FeatureStore(model, features)
    lines = [one for one in read_manifest(manifest) if one.task == EMOTION and one.audio]
    splits = {
        name: [one for one in lines if one.metadata.get("split") == name]
        for name in ("train", "dev")
    }
    if missing := [name for name, some in splits.items() if not some]:
        raise ConfigError(
            f"{manifest.name} holds no line of the task {EMOTION} in the split {missing[0]}; "
            "mowe corpus --ravdess FOLDER writes them"
        )
    labels = tuple(sorted({str(one.metadata["label"]) for one in splits["train"]}))
    places = {
        name: torch.tensor([labels.index(str(one.metadata["label"])) for one in some])
        for name, some in splits.items()
    }
    frames = {name: heard(model, store, some) for name, some in splits.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = UtteranceHeads(model.fused_dim, {EMOTION: labels})
    learn(frames["train"], places["train"], head, seed)
    with torch.no_grad():
        logits = {name: head.told(some)[EMOTION] for name, some in frames.items()}
        head.temperatures[0] = fit_temperature(logits["dev"], places["dev"])
    write_emotion(out, head, model.trained_state())
    return {
        name: float((some.argmax(dim=1) == places[name]).float().mean())
        for name, some in logits.items()
    }


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m mowe.training.emotion", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of a finished checkpoint")
    parser.add_argument("--manifest", type=Path, required=True, help="with lines about feelings")
    parser.add_argument("--features", type=Path, required=True, help="cache of features")
    parser.add_argument("--out", type=Path, required=True, help="folder of the head")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        right = train_emotion(
            given.checkpoint, given.manifest, given.features, given.out, given.seed
        )
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, share in right.items():
        print(f"{name}: {share:.2f} told right")
    print(f"written: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
