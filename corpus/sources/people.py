"""People of four public sets in one folder: accented and children's speech, readers, babies.

The folder holds a `manifest.jsonl` (path, set, task, text or answer, speaker, gender, age, split,
licence) and the clips that it names.
"""

import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from corpus.clips import Ask, Clip, Materials, Source
from corpus.download import CorpusError
from corpus.sound import read_sound
from corpus.splits import split_of
from corpus.text import sentence_case
from mowe.files import read_jsonl

MANIFEST = "manifest.jsonl"
ADULT = 18  # years; of younger people nobody is asked whether they are a man or a woman
BABIES = {"train": 60, "dev": 33, "test": 4}  # crying babies are one sound: a clip of so many each
_SEXES = {"male": "man", "female": "woman"}
_NEEDED = ("path", "set", "task", "speaker", "gender", "split", "licence")


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The manifest's rows.

    Raises:
        CorpusError: If there is no manifest, or a row lacks a field.
    """
    table = folder / MANIFEST
    if not table.is_file():
        raise CorpusError(f"{folder} holds no {MANIFEST}")
    rows = []
    for where, row in read_jsonl(table, CorpusError):
        if missing := [name for name in _NEEDED if name not in row]:
            raise CorpusError(f"{where}: the fields {', '.join(missing)} are missing")
        rows.append(row)
    return rows


def split_of_person(row: Mapping[str, Any]) -> str:
    """The test takes its people from those that the manifest calls training people."""
    split = split_of("people", row["speaker"])
    return split if split == "test" else str(row["split"])


def _read(materials: Materials) -> Iterator[Clip]:
    folder = materials.folder("people")
    babies: dict[str, dict[str, Any]] = {}
    for row in rows_of(folder):
        if row["task"] == "sound":
            babies.setdefault(row["speaker"], row)
        else:
            yield _spoken(folder / row["path"], row)
    for split, most in BABIES.items():
        chosen = [row for row in babies.values() if split_of_person(row) == split]
        for row in sorted(chosen, key=lambda row: _draw(row["speaker"]))[:most]:
            yield _crying(folder / row["path"], row)


def _draw(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _spoken(path: Path, row: Mapping[str, Any]) -> Clip:
    text = sentence_case(row["text"]) if row.get("text") else ""
    age = row.get("age")
    adult = age is None or int(age) >= ADULT  # ages are given where there are children
    tasks = ("transcribe",) * bool(text) + ("gender",) * adult + ("language",)
    notes = {name: str(row[name]) for name in ("accent", "age") if row.get(name) is not None}
    return Clip(
        name=f"{row['set'].replace('_', '-')}-{path.stem}",
        load=functools.partial(read_sound, path),
        split=split_of_person(row),
        tasks=tasks,
        recording=f"{row['set']}-{path.stem}",
        speaker=row["speaker"],
        gender=_SEXES[row["gender"]] if adult else "",
        language="English",
        text=text,
        licence=row["licence"],
        notes=notes,
        asks=(_detail(row),) if row["task"] == "sqa" else (),
    )


def _detail(row: Mapping[str, Any]) -> Ask:
    return Ask(
        task="details",
        turns=((row["question"], sentence_case(row["answer"])),),
        label=row["answer"],
        accept=(row["answer"],),
    )


def _crying(path: Path, row: Mapping[str, Any]) -> Clip:
    return Clip(
        name=f"donateacry-{path.stem.lower()}",
        load=functools.partial(read_sound, path),
        split=split_of_person(row),
        tasks=("sound", "caption"),
        recording=f"donateacry-{path.stem.lower()}",
        speaker=row["speaker"],
        label="baby cry",
        licence=row["licence"],
    )


SOURCE = Source(
    name="people",
    title=(
        "speechocean762, one utterance each of LibriSpeech's readers, the Alphanumeric Audio "
        "Dataset and donateacry"
    ),
    licence="Apache-2.0, CC BY 4.0, MIT and ODbL 1.0: by set, named in every line",
    attribution=(
        "J. Zhang et al., speechocean762, Interspeech 2021; V. Panayotov, G. Chen, D. Povey and "
        "S. Khudanpur, LibriSpeech, ICASSP 2015, and LibriVox's readers; Sakshee Patil, "
        "Alphanumeric Audio Dataset; G. Veres, donateacry-corpus: what is made from its database "
        "says so"
    ),
    read=_read,
    seconds=(0.5, 30.0),
)
