"""The build: read every source, render its clips, write the manifest and the data card."""

import functools
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mowe.training.corpus.card import data_card
from mowe.training.corpus.clips import Clip, Materials, Settings, Source
from mowe.training.corpus.download import CorpusError
from mowe.training.corpus.lines import (
    Rendered,
    balanced,
    check_splits,
    lines_of,
    without_shared_sentences,
)
from mowe.training.corpus.sound import convert, seconds_of, write_flac

logger = logging.getLogger(__name__)

MANIFEST = "manifest.jsonl"
CARD = "CORPUS.md"


@dataclass(frozen=True)
class Corpus:
    """What a build wrote."""

    lines: tuple[Mapping[str, Any], ...]
    skipped: Mapping[str, str]  # source name -> why it was left out


def build_corpus(
    folder: Path, sources: Sequence[Source], settings: Settings, *, jobs: int = 1
) -> Corpus:
    """Build the corpus; finished clips of an earlier run are kept.

    Args:
        folder: Where clips, manifest and data card go.
        sources: What to build; one that cannot be built is left out, with the reason.
        settings: Folders and tools.
        jobs: Clips rendered at once.

    Raises:
        CorpusError: If nothing could be built or a split leaks.
    """
    materials = Materials(settings, folder / "packages", folder / "work")
    clips, skipped = _read_all(sources, materials)
    rendered = _render_all(without_shared_sentences(clips), folder, jobs)
    lines = balanced([line for one in rendered for line in lines_of(one)])
    if not lines:
        raise CorpusError(f"no clip could be built: {skipped or 'every clip was refused'}")
    check_splits(lines)
    built = [source for source in sources if source.name not in skipped]
    _write(folder / MANIFEST, "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines))
    _write(folder / CARD, data_card(lines, built, skipped))
    return Corpus(tuple(lines), skipped)


def _read_all(
    sources: Iterable[Source], materials: Materials
) -> tuple[list[tuple[Source, Clip]], dict[str, str]]:
    clips: list[tuple[Source, Clip]] = []
    skipped = {}
    for source in sources:
        try:
            clips += [(source, clip) for clip in source.read(materials)]
        except CorpusError as error:
            logger.warning("%s is left out: %s", source.name, error)
            skipped[source.name] = str(error)
    return clips, skipped


def _render_all(clips: Sequence[tuple[Source, Clip]], folder: Path, jobs: int) -> list[Rendered]:
    render = functools.partial(_render, folder)
    with ThreadPoolExecutor(jobs) as pool:
        results = list(tqdm(pool.map(render, clips), total=len(clips), desc="clips", unit="clip"))
    kept = [one for one in results if one and one.source.accepts(one.clip, one.seconds)]
    logger.info("%d of %d clips kept", len(kept), len(results))
    return kept


def _render(folder: Path, pair: tuple[Source, Clip]) -> Rendered | None:
    source, clip = pair
    audio = f"clips/{source.name}/{clip.name}.flac"
    path = folder / audio
    if not path.exists():
        try:
            write_flac(path, convert(clip.load(), clip.sample_rate), clip.sample_rate)
        except CorpusError as error:
            logger.warning("%s/%s is left out: %s", source.name, clip.name, error)
            return None
    return Rendered(clip, source, audio, seconds_of(path))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
