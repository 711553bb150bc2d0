"""ESC-10: environmental sounds in ten classes; a fold is in one split."""

import functools
import random
import re
from collections.abc import Iterator
from pathlib import Path

from corpus.clips import SOUND_RATE, Clip, Materials, Source
from corpus.download import CorpusError
from corpus.sound import read_sound
from corpus.splits import split_of
from mowe.files import read_jsonl

FOLDS = "12345"
SECONDS = 5.0  # every clip
CROPS = 4  # further cuts of each training clip
CROP_SECONDS = (1.5, 5.0)


def labels(folder: Path) -> dict[Path, str]:
    """Every clip with its class.

    The release keeps a folder a class (`001 - Dog bark`); a flat folder needs a `manifest.jsonl`
    in it or beside it, with `path` and `label`.

    Raises:
        CorpusError: If neither is there.
    """
    found = {
        path: match[1].lower()
        for path in sorted(folder.rglob("*.ogg"))
        if (match := re.fullmatch(r"\d{3} - (.+)", path.parent.name))
    }
    if found:
        return found
    for table in (folder / "manifest.jsonl", folder.parent / "manifest.jsonl"):
        if table.is_file():
            return _labels_of_table(table, folder)
    raise CorpusError(f"{folder} holds neither class folders nor a manifest.jsonl with labels")


def _labels_of_table(table: Path, folder: Path) -> dict[Path, str]:
    rows = [row for _, row in read_jsonl(table, CorpusError)]
    paths = {table.parent / row["path"]: row["label"] for row in rows if "label" in row}
    return {path: label for path, label in paths.items() if path.parent == folder}


def _crops(name: str) -> tuple[tuple[float, float], ...]:
    rng = random.Random(name)
    cuts = []
    for _ in range(CROPS):
        seconds = rng.uniform(*CROP_SECONDS)
        start = rng.uniform(0.0, SECONDS - seconds)
        cuts.append((round(start, 2), round(start + seconds, 2)))
    return tuple(cuts)


def _read(materials: Materials) -> Iterator[Clip]:
    for path, label in labels(materials.folder("esc10")).items():
        if path.name[0] not in FOLDS:
            continue
        split = split_of("esc10", path.name[0])
        yield Clip(
            name=path.stem,
            load=functools.partial(read_sound, path),
            split=split,
            tasks=("sound", "caption"),
            recording=f"freesound-{path.stem.split('-')[1]}",
            label=label,
            sample_rate=SOUND_RATE,
            crops=_crops(path.stem) if split == "train" else (),
        )


SOURCE = Source(
    name="esc10",
    title="ESC-10 environmental sounds",
    licence="CC BY 3.0",
    attribution=(
        "K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM MM 2015; "
        "clips by contributors of freesound.org, listed in the release"
    ),
    read=_read,
)
