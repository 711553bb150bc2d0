"""Statistics of 40 log-mel cepstra and a support vector machine, untuned.

It hears the whole clip and not the question, so it is only asked what one clip has one answer to,
and digits, where it can only learn which answers are frequent.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from mowe.audio import SAMPLE_RATE, Recording
from mowe.data.ledger import Row
from mowe.data.manifest import Example
from mowe.encoders.mel import MelSettings, mel_spectrogram
from mowe.evaluation.asking import Question, describe, hear

logger = logging.getLogger(__name__)

PROBED = ("emotion", "sound", "gender", "language", "digits")
CEPSTRA = 40
MEL = MelSettings(
    sample_rate=SAMPLE_RATE,
    fft_size=512,
    hop=160,  # 10 ms
    mels=CEPSTRA,
    high_hz=SAMPLE_RATE / 2,
    scale="htk",
)
MOST_TRAINING_CLIPS = 3000
_SILENCE = 1e-10  # least energy, so that its logarithm is finite


def cepstral_features(recording: Recording) -> np.ndarray:
    """Mean and deviation of the cepstra and of their slope over time, `(4 * 40,)`."""
    samples = torch.from_numpy(recording.at(SAMPLE_RATE))[None]
    energy = mel_spectrogram(samples, MEL)[0].numpy()  # (frames, mels)
    cepstra = np.log(energy + _SILENCE) @ cosines(CEPSTRA).T  # (frames, cepstra)
    slope = np.gradient(cepstra, axis=0)
    return np.concatenate([one for part in (cepstra, slope) for one in (part.mean(0), part.std(0))])


def cosines(size: int) -> np.ndarray:
    """The orthonormal cosine transform (DCT-II), one basis vector a row, `(size, size)`."""
    place = (np.arange(size) + 0.5) / size
    basis = np.sqrt(2 / size) * np.cos(np.pi * np.outer(np.arange(size), place))
    basis[0] /= np.sqrt(2)
    return basis


def cepstra_rows(questions: Sequence[Question], train: Sequence[Example]) -> list[Row]:
    """A predicted label for every question of a probed task that has training lines.

    A part learns from the training lines of its own source, or of the whole task where those are
    missing or all alike.
    """
    groups: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in questions:
        if question.example.task in PROBED:
            groups[question.example.task, question.part].append(question)
    heard: dict[tuple[str, float, float | None], np.ndarray] = {}
    rows: list[Row] = []
    for (task, part), group in groups.items():
        lines = _training(train, task, part)
        labels = [str(one.metadata["label"]) for one in lines]
        if len(set(labels)) < 2:
            logger.warning("%s of %s: too few labels to train on", task, part)
            continue
        probe = make_pipeline(StandardScaler(), SVC(kernel="rbf"))
        probe.fit(_features(lines, heard, f"cepstra {task} {part}"), labels)
        asked = _features([one.example for one in group], heard, f"cepstra {task} {part}, held out")
        predicted = probe.predict(asked)
        rows += [
            describe(one) | {"predicted": str(label)}
            for one, label in zip(group, predicted, strict=True)
        ]
    return rows


def _training(train: Sequence[Example], task: str, part: str) -> list[Example]:
    """At most MOST_TRAINING_CLIPS lines, of the part's own source where it has several labels."""
    found = [one for one in train if one.task == task and one.metadata.get("label")]
    own = [one for one in found if one.metadata.get("source") == part]
    several = len({one.metadata["label"] for one in own}) > 1
    lines = sorted(own if several else found, key=lambda one: str((one.clip, one.messages)))
    return random.Random(task).sample(lines, min(len(lines), MOST_TRAINING_CLIPS))


def _features(
    examples: Sequence[Example],
    heard: dict[tuple[str, float, float | None], np.ndarray],
    title: str,
) -> np.ndarray:
    """`(examples, 160)`; a clip is read once."""
    for example in tqdm(examples, desc=title, mininterval=2):
        if example.clip not in heard:
            heard[example.clip] = cepstral_features(hear(example))
    return np.stack([heard[example.clip] for example in examples])
