"""Builds the map that ships with the app from a built corpus: real recordings of every source.

Clips whose terms let us pass them on become short Opus files; of the others only the embedding and
the routing are kept.
"""

import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from mowe.analysis.map_folder import CLIPS, RECORDS, MapFolder, write_coordinates
from mowe.assistant import Assistant
from mowe.audio import load_audio
from mowe.audio.writing import write_opus
from mowe.data.manifest import Example, read_manifest
from mowe.data.records import LabelledClip, RecordsFile, content_sha256, parts_folder
from mowe.errors import ConfigError
from mowe.files import is_file_name

CLIP_RATE = 16_000  # Hz, of a shipped clip
CLIP_BITS = 13_000  # a second
MAX_SECONDS = 5.1
LEFT_OUT = ("1-40730-A", "2-96460-A")  # under Sampling+, which forbids to pass on whole sounds
_TOGETHER = 32  # recordings that are routed at a time
# the task a recording is shown under, where it has several
_TASKS = ("emotion", "sound", "transcribe", "language", "digits", "gender", "caption")


class Share(NamedTuple):
    """How many recordings of a source the map has."""

    source: str
    split: str
    recordings: int
    shipped: bool  # whether the clips' terms let us pass them on


SHARES = (
    Share("amazon-queen", "train", 110, True),
    Share("amazon-queen", "dev", 150, True),
    Share("drascula", "dev", 120, True),
    Share("asterisk", "train", 220, True),
    Share("spoken-digits", "train", 30, True),
    Share("spoken-digits", "dev", 50, True),
    Share("esc10", "train", 200, True),
    Share("esc10", "dev", 80, True),
    Share("ravdess", "dev", 120, False),
    Share("fish-fillets", "train", 70, False),
    Share("tux-paint", "train", 80, False),
    Share("kde-words", "dev", 50, False),
    Share("game-effects", "train", 50, False),
    Share("more-effects", "train", 70, False),
    Share("instruments", "train", 80, False),
    Share("named-sounds", "dev", 50, False),
)  # fmt: skip


def build_map(
    assistant: Assistant, manifest: Path, out: Path, *, seed: int = 0, fraction: float = 1.0
) -> MapFolder:
    """Choose clips, ship what may be shipped, route all, and lay them out.

    Args:
        assistant: Of the mixture that the map shows.
        manifest: Of a built corpus.
        out: The map's folder; one that is there is replaced.
        seed: Of the choice and of UMAP.
        fraction: Of every share that is taken, above 0 to 1.

    Raises:
        ConfigError: If the corpus has none of the sources.
        ManifestError: If the manifest is wrong.
        RecordsError: If the chosen recordings are too few.
    """
    shares = [one._replace(recordings=round(one.recordings * fraction)) for one in SHARES]
    chosen = choose(read_manifest(manifest), shares, seed)
    if not chosen:
        raise ConfigError(f"{manifest} has no recording of {sorted({one[0] for one in SHARES})}")
    shutil.rmtree(out / CLIPS, ignore_errors=True)
    shutil.rmtree(parts_folder(out / RECORDS), ignore_errors=True)
    (out / RECORDS).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    file = RecordsFile(out / RECORDS, assistant.preset, assistant.encoder_names, compact=True)
    with tqdm(total=len(chosen), desc="listening", unit="clip") as bar:
        for start in range(0, len(chosen), _TOGETHER):
            some = chosen[start : start + _TOGETHER]
            placed = [_placed(one, shipped, out) for one, shipped in some]
            recordings = [load_audio(path, limits=assistant.limits) for path, _ in placed]
            answers = assistant.route_all(recordings, fused=True)
            for (path, source), answer in zip(placed, answers, strict=True):
                file.add(source, content_sha256(path), answer)
            bar.update(len(some))
    file.close()
    return write_coordinates(out, seed)


def choose(
    examples: Sequence[Example], shares: Sequence[Share], seed: int
) -> list[tuple[Example, bool]]:
    """Recordings for the map, and whether each is shipped: every label or speaker in turn."""
    clips: dict[tuple[str, str], dict[Path, Example]] = defaultdict(dict)
    for example in examples:
        about = example.metadata
        known = clips[about.get("source", ""), about.get("split", "")]
        if example.audio is None or example.task not in _TASKS or not _fits(example):
            continue
        before = known.get(example.audio)
        if before is None or _TASKS.index(example.task) < _TASKS.index(before.task):
            known[example.audio] = example
    draw = random.Random(seed)
    return [
        (one, share.shipped)
        for share in shares
        for one in _in_turn(list(clips[share.source, share.split].values()), share.recordings, draw)
    ]


def _fits(example: Example) -> bool:
    whole = example.start == 0 and example.end is None
    named = example.audio is not None and example.audio.stem not in LEFT_OUT
    return whole and named and float(example.metadata.get("duration", 0.0)) <= MAX_SECONDS


def _in_turn(examples: list[Example], count: int, draw: random.Random) -> Iterator[Example]:
    """At most `count`, one of each label or speaker after the other."""
    groups: dict[str, list[Example]] = defaultdict(list)
    draw.shuffle(examples)
    for one in examples:
        groups[str(one.metadata.get("label") or one.metadata.get("speaker"))].append(one)
    queues = [groups[name] for name in sorted(groups)]
    taken = 0
    while taken < count and any(queues):
        for queue in queues:
            if queue and taken < count:
                taken += 1
                yield queue.pop()


def _placed(example: Example, shipped: bool, out: Path) -> tuple[Path, LabelledClip]:
    """The file that is heard, and the record's source with its path in the map's folder."""
    source = LabelledClip.of_example(example)
    folder = str(example.metadata["source"])
    if not is_file_name(folder):
        raise ConfigError(f"a source is named as a folder can be, found {folder!r}")
    name = Path(folder) / source.path.stem
    if not shipped:
        return source.path, replace(source, path=name.with_suffix(source.path.suffix))
    inside = Path(CLIPS) / name.with_suffix(".opus")
    write_opus(out / inside, load_audio(source.path).at(CLIP_RATE), CLIP_RATE, CLIP_BITS)
    return out / inside, replace(source, path=inside)
