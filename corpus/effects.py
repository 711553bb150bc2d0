"""Short labelled sounds whose class is clear from their file name."""

import hashlib
import random
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.clips import SOUND_RATE, Clip, Materials, Waveform
from corpus.download import Package
from corpus.size import few, thinned
from corpus.sound import read_sound

SUFFIXES = frozenset({".ogg", ".oga", ".wav", ".flac"})
MOST_SECONDS = 8.0  # longer sounds are cut here
# packages above 60 MB
LARGE = frozenset(
    {
        "hedgewars-data",
        "hydrogen-drumkits",
        "hydrogen-drumkits-effects",
        "megaglest-data",
        "tuxpaint-stamps-default",
        "wesnoth-1.16-data",
    }
)

Rules = Sequence[tuple[str, str]]  # (pattern searched in the path, label); the first hit counts


@dataclass(frozen=True)
class Effect:
    """One file, on disk or inside a zip archive."""

    path: str  # relative to its package
    root: Path  # folder, or archive
    label: str

    def data(self) -> bytes:
        """The file as it is stored."""
        if self.root.is_dir():
            return (self.root / self.path).read_bytes()
        with zipfile.ZipFile(self.root) as archive:
            return archive.read(self.path)

    def load(self) -> Waveform:
        """The sound's first `MOST_SECONDS` seconds."""
        samples, rate = read_sound(self.data())
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


def distinct(effects: Iterable[Effect]) -> list[Effect]:
    """Without files that are copies of an earlier one."""
    first: dict[str, Effect] = {}
    for effect in effects:
        first.setdefault(_recording(effect), effect)
    return list(first.values())


def _recording(effect: Effect) -> str:
    """Names the content of the file, so that a copy in another package has the same name."""
    return f"file-{hashlib.sha256(effect.data()).hexdigest()[:16]}"


def clip_of(effect: Effect, package: str, split: str) -> Clip:
    """A clip for the questions what sound this is and what it is like."""
    stem = re.sub(r"[^a-z0-9]+", "-", Path(effect.path).with_suffix("").as_posix().lower())
    return Clip(
        name=f"{package}-{stem}",
        load=effect.load,
        split=split,
        tasks=("sound", "caption"),
        recording=_recording(effect),
        label=effect.label,
        sample_rate=SOUND_RATE,
    )


def clips_of(folders: Mapping[str, Path], rules: Rules, cap: int) -> Iterator[Clip]:
    """Training clips.

    Args:
        folders: Unpacked packages by name.
        rules: What the file names mean.
        cap: Most clips of a label.
    """
    names = {folder: package for package, folder in folders.items()}
    found = {effect: names[folder] for folder in names for effect in effects_in(folder, rules)}
    for effect in capped(found, cap):
        yield clip_of(effect, found[effect], "train")


def small_enough(packages: Iterable[Package], materials: Materials) -> list[Package]:
    """The packages to read: a small corpus leaves the large ones out."""
    full = materials.settings.size == "full"
    return [package for package in packages if full or package.name not in LARGE]


def within_size(clips: Iterable[Clip], materials: Materials) -> list[Clip]:
    """All clips, or the few of each label that a small corpus keeps."""
    settings = materials.settings
    return few(thinned(clips, settings, lambda clip: clip.label), settings)


def reader(
    packages: Sequence[Package], rules: Rules, cap: int
) -> Callable[[Materials], list[Clip]]:
    """How a source of training clips is read whose packages share rules and a cap."""

    def read(materials: Materials) -> list[Clip]:
        wanted = small_enough(packages, materials)
        folders = {package.name: materials.unpacked(package) for package in wanted}
        return within_size(clips_of(folders, rules, cap), materials)

    return read
