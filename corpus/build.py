"""The build: read every source, render its clips, write the manifest and the data card."""

import errno
import functools
import json
import logging
import struct
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import soundfile
from tqdm import tqdm

from corpus import compose
from corpus.card import data_card
from corpus.clips import SIZES, Clip, CorpusSettings, Materials, Source
from corpus.download import CorpusError
from corpus.lines import (
    Line,
    Rendered,
    balanced,
    check_clip,
    check_splits,
    is_text_only,
    key_of,
    lines_of,
    without_shared_sentences,
)
from corpus.questions import further_questions
from corpus.size import few, thinned
from corpus.sound import convert, seconds_of
from corpus.wording import COMPOSED
from mowe.audio.writing import write_flac

logger = logging.getLogger(__name__)

MANIFEST = "manifest.jsonl"
CARD = "CORPUS.md"
# what readers raise when a file is cut short or is something else
_DAMAGED = (
    ValueError, LookupError, RuntimeError, EOFError, OSError, struct.error, zipfile.BadZipFile,
)  # fmt: skip
SHORTEST = 0.1  # s; shorter clips are left out whatever their source allows


@dataclass(frozen=True)
class Corpus:
    """What a build wrote."""

    lines: tuple[Line, ...]
    skipped: Mapping[str, str]  # source name -> why it was left out


def build_corpus(
    folder: Path,
    sources: Sequence[Source],
    settings: CorpusSettings,
    *,
    jobs: int = 1,
    tasks: Collection[str] = (),
) -> Corpus:
    """Build the corpus; finished clips of an earlier run are kept.

    Args:
        folder: Where clips, manifest and data card go.
        sources: What to build; one that cannot be built is left out, with the reason.
        settings: Folders and tools.
        jobs: Clips rendered at once.
        tasks: Keep only lines of these; empty keeps all.

    Raises:
        CorpusError: If nothing could be built or a split leaks.
        OSError: If the disk is full or cannot be written; finished clips are kept.
    """
    if settings.size not in SIZES:
        raise CorpusError(f"the size {settings.size!r} is not one of {', '.join(SIZES)}")
    materials = Materials(settings, folder / "packages", folder / "work")
    clips, skipped = _read_all(sources, materials)
    rendered = _render_all(without_shared_sentences(clips), folder, jobs)
    if not tasks or COMPOSED & {*tasks} or {"presence", "caption"} & {*tasks}:
        made = compose.composed(rendered, folder, settings.size, jobs)
        rendered += _render_all([(compose.SOURCE, clip) for clip in made], folder, jobs)
    lines = _lines(rendered, tasks)
    if not lines:
        raise CorpusError(f"no clip could be built: {skipped or 'every clip was refused'}")
    check_splits(lines)
    used = {line["source"] for line in lines}
    built = [source for source in (*sources, compose.SOURCE) if source.name in used]
    _write(folder / MANIFEST, "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines))
    _write(folder / CARD, data_card(lines, built, skipped))
    return Corpus(tuple(lines), skipped)


def _lines(rendered: Sequence[Rendered], tasks: Collection[str]) -> list[Line]:
    asked = further_questions(rendered)
    lines = [line for one in rendered for line in lines_of(one, asked.get(one.key, ()))]
    return balanced([line for line in lines if not tasks or line["task"] in tasks])


def _read_all(
    sources: Iterable[Source], materials: Materials
) -> tuple[list[tuple[Source, Clip]], dict[str, str]]:
    clips: list[tuple[Source, Clip]] = []
    skipped = {}
    for source in sources:
        try:
            clips += [(source, clip) for clip in _read(source, materials)]
        except CorpusError as error:
            if "No space left" in str(error):  # said by a tool that unpacks or synthesises
                raise OSError(errno.ENOSPC, str(error)) from error
            logger.warning("%s is left out: %s", source.name, error)
            skipped[source.name] = str(error)
    return clips, skipped


def _read(source: Source, materials: Materials) -> list[Clip]:
    """A source's clips, checked; a few of each group where the corpus is to be small.

    Raises:
        CorpusError: If the source cannot be read, or a clip is wrong.
    """
    try:
        clips = list(source.read(materials))
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise CorpusError(f"its files are not as expected: {error!r}") from error
    names = set()
    for clip in clips:
        check_clip(source, clip)
        if clip.name in names:
            raise CorpusError(f"{key_of(source, clip)}: two clips have this name")
        names.add(clip.name)
    settings = materials.settings
    return few(thinned(clips, settings, _group), settings)


def _group(clip: Clip) -> tuple[str, str, str]:
    return (clip.label, clip.emotion, "") if clip.label or clip.emotion else ("", "", clip.speaker)


def _render_all(clips: Sequence[tuple[Source, Clip]], folder: Path, jobs: int) -> list[Rendered]:
    with ThreadPoolExecutor(jobs) as pool:
        try:
            results = pool.map(functools.partial(_render, folder), clips)
            done = list(tqdm(results, total=len(clips), desc="clips", unit="clip"))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    found = [one for one in done if one]
    short = sum(one.audio is not None and one.seconds < SHORTEST for one in found)
    kept = [one for one in found if _fits(one)]
    logger.info("%d of %d clips kept; %d shorter than %g s", len(kept), len(done), short, SHORTEST)
    return kept


def _fits(one: Rendered) -> bool:
    if one.audio is None:
        return True
    return one.seconds >= SHORTEST and one.source.accepts(one.clip, one.seconds)


def _render(folder: Path, pair: tuple[Source, Clip]) -> Rendered | None:
    source, clip = pair
    if is_text_only(clip):
        return Rendered(clip, source, None, 0.0)
    audio = f"clips/{source.name}/{clip.name}.flac"
    path = folder / audio
    if not path.exists():
        try:
            samples = convert(clip.load(), clip.sample_rate)
        except (CorpusError, ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            logger.warning("%s/%s is left out: %s", source.name, clip.name, error)
            return None
        _store(path, lambda: write_flac(path, samples, clip.sample_rate))
    return Rendered(clip, source, audio, seconds_of(path))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    _store(path, lambda: partial.write_text(text, encoding="utf-8"))
    if partial.exists():
        partial.replace(path)


def _store(path: Path, write: Callable[[], object]) -> None:
    """Let `write` make a file; what it leaves half-written is removed.

    Raises:
        OSError: If the file cannot be written.
    """
    try:
        write()
    except (OSError, soundfile.SoundFileError, AssertionError) as error:
        path.with_name(path.name + ".partial").unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise
        # libsndfile does not say why it wrote less than it was given
        raise OSError(errno.ENOSPC, f"{path} could not be written whole") from error
