"""`route` into a records file: labels from manifests, batches, and going on after a stop."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from mowe.audio import Recording, load_audio
from mowe.cli.desk import MANIFEST, Desk
from mowe.cli.interrupt import Interrupt, kept_interrupt
from mowe.cli.text import tell
from mowe.data.manifest import read_manifest
from mowe.data.records import LabelledClip, RecordsFile, by_clip, content_sha256, key_of
from mowe.errors import AudioError

_TOGETHER = 300.0  # s of sound, decoded before its windows are batched by length: 53 MB

_Group = tuple[LabelledClip, ...]  # sources with one sound
_Decoded = tuple[_Group, str, Recording]  # with the sha256 of its file


def find_sources(desk: Desk) -> list[LabelledClip]:
    """Every recording that was named: files, those in folders, and the lines of manifests.

    Raises:
        ManifestError: If a manifest is wrong.
    """
    manifests = [path for path in desk.files if path.suffix.lower() == MANIFEST]
    files = desk.find_files(path for path in desk.files if path not in manifests)
    lines = [one for path in manifests for one in read_manifest(path) if one.audio is not None]
    return [*map(LabelledClip, files), *map(LabelledClip.of_example, lines)]


def route_to_records(desk: Desk, out: Path, sources: Sequence[LabelledClip]) -> None:
    """Route what is not in `out` yet; a bad recording is remembered, not fatal.

    Raises:
        RecordsError: If `out` holds other records, or cannot be written.
    """
    if not sources:
        return
    file = RecordsFile(out, desk.assistant.preset, desk.assistant.encoder_names)
    groups, known = _waiting(desk, file, sources)
    if known:
        tell(f"{known} of {len(sources)} are in {out.name} already")
    try:
        with (
            kept_interrupt() as interrupt,
            tqdm(total=len(groups), desc="listening", unit="clip", file=sys.stderr) as bar,
        ):
            for some in _batches(_decoded(desk, groups, interrupt, bar)):
                _route(desk, file, some)
    finally:
        tell(f"{file.close()} windows in {out.name}")


def _waiting(
    desk: Desk, file: RecordsFile, sources: Sequence[LabelledClip]
) -> tuple[list[tuple[_Group, str]], int]:
    """Sources that are not in the file, by sound, with its sha256; and how many are."""
    hashes: dict[Path, str] = {}
    groups, known = [], 0
    for group in by_clip(sources).values():
        path = group[0].path
        if path not in hashes:
            hashes[path] = content_sha256(path, desk.limits)
        left = tuple(one for one in group if key_of(one, hashes[path]) not in file.done)
        known += len(group) - len(left)
        if left:
            groups.append((left, hashes[path]))
    return groups, known


def _batches(heard: Iterable[_Decoded]) -> Iterator[list[_Decoded]]:
    """Neighbours that together reach `_TOGETHER` seconds, and the rest."""
    batch: list[_Decoded] = []
    for one in heard:
        batch.append(one)
        if sum(recording.seconds for *_, recording in batch) >= _TOGETHER:
            yield batch
            batch = []
    if batch:
        yield batch


def _decoded(
    desk: Desk, groups: Sequence[tuple[_Group, str]], interrupt: Interrupt, bar: "tqdm[NoReturn]"
) -> Iterator[_Decoded]:
    for group, sha256 in groups:
        bar.update()
        first = group[0]
        try:
            with interrupt.held():
                recording = load_audio(
                    first.path, start=first.start, end=first.end, limits=desk.limits
                )
        except AudioError as error:
            desk.fail(first.path, error)
            continue
        yield group, sha256, recording


def _route(desk: Desk, file: RecordsFile, decoded: Sequence[_Decoded]) -> None:
    recordings = [one for *_, one in decoded]
    fused = desk.options.fused
    answers = desk.assistant.route_all(recordings, control=desk.control, fused=fused)
    for (group, sha256, _), answer in zip(decoded, answers, strict=True):
        for source in group:
            file.add(source, sha256, answer)
    file.flush()
