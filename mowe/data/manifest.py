"""One JSONL manifest for every task: an audio file, a conversation about it, free metadata.

{"audio": "clips/a.flac", "start": 0.5, "end": 3.0, "task": "transcribe",
 "messages": [{"role": "user", "content": "<audio> Transcribe the speech."},
              {"role": "assistant", "content": "Good morning."}], "speaker": "anna"}

A line with `"audio": null` is a conversation in text alone: without the <audio> mark, or with
`hints`, lines of text for each mark, which the language model reads in a recording's place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from mowe.errors import ManifestError
from mowe.files import read_jsonl

AUDIO_TAG = "<audio>"
ROLES = ("user", "assistant")
LISTS = ("options", "accept", "hints")  # lists of texts, where a line has them
ROUNDING = 0.1  # s; a clip that is cut to a length may be longer by what resampling adds
_KNOWN = ("audio", "start", "end", "task", "messages")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One manifest line."""

    audio: Path | None  # None is text only
    task: str
    messages: tuple[tuple[str, str], ...]  # (role, content), user first, assistant last
    start: float = 0.0  # seconds
    end: float | None = None  # seconds; None is the end of the file
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def clip(self) -> tuple[str, float, float | None]:
        """What identifies the sound: file, start and end; no file for text only."""
        return str(self.audio) if self.audio else "", self.start, self.end

    @property
    def hints(self) -> tuple[str, ...]:
        """Of a conversation in text alone: what is told in the place of each mark."""
        return tuple(self.metadata.get("hints", ()))

    @property
    def answer(self) -> str:
        """The last assistant turn."""
        return self.messages[-1][1]

    @property
    def turns(self) -> list[tuple[str, str, bool]]:
        """Role and words of each turn, and whether the recording is played in it."""
        marks = [AUDIO_TAG in content for _, content in self.messages]
        played = marks.index(True) if any(marks) else 0
        return [
            (role, content.replace(AUDIO_TAG, "").strip(), place == played and bool(self.audio))
            for place, (role, content) in enumerate(self.messages)
        ]


def read_manifest(
    path: Path, *, split: str | None = None, max_seconds: float | None = None
) -> list[Example]:
    """Read and check every line.

    Args:
        path: A JSONL file; audio paths in it are relative to its folder.
        split: Keep only lines whose `split` is this.
        max_seconds: Refuse longer clips: a label of the whole does not say what a part of it holds,
            and nothing is cut silently. By default any length is taken.

    Raises:
        ManifestError: If the file cannot be read, or a line is wrong; names the line and the field.
    """
    if not path.exists():
        raise ManifestError(
            f"there is no manifest {path}; `python -m mowe corpus --out "
            f"{path.parent}` (make corpus) builds one"
        )
    lines = []
    for where, fields in read_jsonl(path, ManifestError):
        example = _example(fields, path.parent, where)
        if max_seconds is not None and example.audio is not None:
            _check_length(example, max_seconds, where)
        lines.append(example)
    kept = [one for one in lines if split is None or one.metadata.get("split", split) == split]
    if not kept:
        raise ManifestError(
            f"{path.name} holds no example{f' of split {split!r}' if split else ''}"
        )
    return kept


def _example(fields: dict[str, Any], root: Path, where: str) -> Example:
    silent = "audio" in fields and fields["audio"] is None
    start = _seconds(fields, "start", where)
    end = _seconds(fields, "end", where)
    _seconds(fields, "duration", where)
    if end is not None and end <= (start or 0.0):
        raise ManifestError(f"{where}: end {end} must be after start {start or 0.0}")
    messages = _messages(fields.get("messages"), where)
    if silent and (start, end) != (None, None):
        raise ManifestError(f"{where}: a line without audio has no start and no end")
    _check_labels(fields, where)
    _check_marks(messages, fields, silent, where)
    return Example(
        audio=None if silent else _located(fields, root, where),
        task=_text(fields, "task", where),
        messages=messages,
        start=start or 0.0,
        end=end,
        metadata={key: value for key, value in fields.items() if key not in _KNOWN},
    )


def _check_marks(
    messages: tuple[tuple[str, str], ...], fields: dict[str, Any], silent: bool, where: str
) -> None:
    """Marks stand for one recording, or, without audio, for as many hints."""
    marks, hints = sum(content.count(AUDIO_TAG) for _, content in messages), fields.get("hints", [])
    if any(AUDIO_TAG in content for role, content in messages if role == "assistant"):
        raise ManifestError(f"{where}: {AUDIO_TAG} belongs in a user turn")
    if not silent and hints:
        raise ManifestError(f"{where}: hints are for lines without audio, found {hints!r}")
    if not silent and marks > 1:
        raise ManifestError(f"{where}: messages hold {AUDIO_TAG} more than once")
    if silent and marks and not hints:
        raise ManifestError(f"{where}: messages hold {AUDIO_TAG}, but audio is null")
    if silent and marks != len(hints):
        raise ManifestError(f"{where}: {len(hints)} hints for {marks} marks {AUDIO_TAG}")


def _located(fields: dict[str, Any], root: Path, where: str) -> Path:
    audio = _text(fields, "audio", where)
    located = (root / audio).resolve()
    if not Path(audio).is_absolute() and not located.is_relative_to(root.resolve()):
        raise ManifestError(f"{where}: audio {audio!r} lies outside the manifest's folder")
    if not located.is_file():
        raise ManifestError(f"{where}: audio {audio!r} does not exist")
    return located


def _check_length(example: Example, most: float, where: str) -> None:
    assert example.audio is not None
    length = float(example.metadata.get("duration") or 0.0)
    if example.end is not None:
        length = example.end - example.start
    elif not length:
        length = _file_seconds(example.audio) - example.start
    if length > most + ROUNDING:
        raise ManifestError(
            f"{where}: {example.audio.name} lasts {length:.1f} s, training hears at most {most:g} s"
            ": give `start` and `end`, with messages about that part"
        )


def _file_seconds(path: Path) -> float:
    try:
        return float(soundfile.info(path).duration)
    except soundfile.LibsndfileError:  # another reader's format; looked at when it is decoded
        return 0.0


def _check_labels(fields: dict[str, Any], where: str) -> None:
    for name in LISTS:
        value = fields.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ManifestError(f"{where}: {name} must list texts, found {value!r}")
    options = fields.get("options", [])
    if options and fields.get("label") not in options:
        raise ManifestError(f"{where}: label {fields.get('label')!r} is not one of {options}")


def _text(fields: dict[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ManifestError(f"{where}: {name} must be a text that is not empty, found {value!r}")
    return value


def _seconds(fields: dict[str, Any], name: str, where: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e7:
        raise ManifestError(f"{where}: {name} must be seconds from 0 on, found {value!r}")
    return float(value)


def _messages(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or len(value) < 2:
        raise ManifestError(f"{where}: messages must list a user and an assistant turn at least")
    turns = []
    for index, turn in enumerate(value):
        expected = ROLES[index % 2]
        if not isinstance(turn, dict) or turn.get("role") != expected:
            raise ManifestError(f"{where}: messages[{index}] must have role {expected!r}")
        content = turn.get("content")
        if not isinstance(content, str) or not content.strip():
            raise ManifestError(
                f"{where}: messages[{index}].content must be a text, found {content!r}"
            )
        turns.append((expected, content))
    if len(turns) % 2:
        raise ManifestError(f"{where}: messages must end with an assistant turn")
    return tuple(turns)
