"""Short labelled sounds whose class is clear from their file name."""

import random
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mowe.training.corpus.clips import SOUND_RATE, Clip, Waveform
from mowe.training.corpus.sound import read_sound

SUFFIXES = frozenset({".ogg", ".oga", ".wav", ".flac"})
MOST_SECONDS = 8.0  # longer sounds are cut here

Rules = Sequence[tuple[str, str]]  # (pattern searched in the path, label); the first hit counts


@dataclass(frozen=True)
class Effect:
    """One file, on disk or inside a zip archive."""

    path: str  # relative to its package
    root: Path  # folder, or archive
    label: str

    def load(self) -> Waveform:
        """The sound's first `MOST_SECONDS` seconds."""
        if self.root.is_dir():
            samples, rate = read_sound(self.root / self.path)
        else:
            with zipfile.ZipFile(self.root) as archive:
                samples, rate = read_sound(archive.read(self.path))
        return np.ascontiguousarray(samples[: round(MOST_SECONDS * rate)]), rate


def label_of(path: str, rules: Rules) -> str:
    """The label of the first rule that matches, else empty."""
    return next((label for pattern, label in rules if re.search(pattern, path, re.IGNORECASE)), "")


def effects_in(folder: Path, rules: Rules) -> Iterator[Effect]:
    """Every sound below a folder, and in `.pk3` archives there, that a rule names."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() == ".pk3":
            with zipfile.ZipFile(path) as archive:
                names = sorted(archive.namelist())
            yield from _named(names, path, rules)
        elif path.suffix.lower() in SUFFIXES:
            yield from _named([path.relative_to(folder).as_posix()], folder, rules)


def _named(names: Iterable[str], root: Path, rules: Rules) -> Iterator[Effect]:
    for name in names:
        label = label_of(name, rules)
        if label and Path(name).suffix.lower() in SUFFIXES:
            yield Effect(name, root, label)


def capped(effects: Iterable[Effect], cap: int) -> list[Effect]:
    """At most `cap` sounds a label, drawn at random but always the same."""
    groups: dict[str, list[Effect]] = defaultdict(list)
    for effect in effects:
        groups[effect.label].append(effect)
    kept: list[Effect] = []
    for label, group in groups.items():
        kept += random.Random(label).sample(group, min(cap, len(group)))
    return kept


def clips_of(folders: Mapping[str, Path], rules: Rules, cap: int) -> Iterator[Clip]:
    """Training clips for the question what sound this is.

    Args:
        folders: Unpacked packages by name.
        rules: What the file names mean.
        cap: Most clips of a label.
    """
    names = {folder: package for package, folder in folders.items()}
    found = {effect: names[folder] for folder in names for effect in effects_in(folder, rules)}
    for effect in capped(found, cap):
        stem = re.sub(r"[^a-z0-9]+", "-", Path(effect.path).with_suffix("").as_posix().lower())
        name = f"{found[effect]}-{stem}"
        yield Clip(
            name=name,
            load=effect.load,
            split="train",
            tasks=("sound",),
            recording=name,
            label=effect.label,
            sample_rate=SOUND_RATE,
        )
