"""A transcript as people take it along: plain text, SubRip, WebVTT, or plain JSON types."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from mowe.hints.transcript import Segment, Transcript

_HOUR, _MINUTE = 3_600_000, 60_000  # ms


def as_txt(transcript: Transcript) -> str:
    """A line a segment."""
    return "".join(f"{segment.text}\n" for segment in transcript.segments)


def as_srt(transcript: Transcript) -> str:
    """SubRip: numbered segments, commas before the milliseconds."""
    blocks = [
        f"{number}\n{_clock(one.start, ',')} --> {_clock(one.end, ',')}\n{_cue(one.text)}\n"
        for number, one in enumerate(transcript.segments, start=1)
    ]
    return "\n".join(blocks)


def as_vtt(transcript: Transcript) -> str:
    """WebVTT (W3C); what would be markup in it is escaped."""
    blocks = [
        f"{_clock(one.start, '.')} --> {_clock(one.end, '.')}\n{_escaped(_cue(one.text))}\n"
        for one in transcript.segments
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def as_dict(transcript: Transcript) -> dict[str, Any]:
    """Plain JSON types; times in s."""
    return {
        "text": transcript.text,
        "language": transcript.language,
        "segments": [
            {"start": round(one.start, 2), "end": round(one.end, 2), "text": one.text}
            for one in transcript.segments
        ],
    }


def from_dict(plain: Mapping[str, Any]) -> Transcript:
    """The transcript of `as_dict`."""
    segments = (Segment(one["start"], one["end"], one["text"]) for one in plain["segments"])
    return Transcript(tuple(segments), plain["language"])


FORMATS: dict[str, Callable[[Transcript], str]] = {"txt": as_txt, "srt": as_srt, "vtt": as_vtt}


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


def _cue(text: str) -> str:
    """Text that cannot end a cue or begin another: an arrow would be read as times."""
    return re.sub(r"--+>", "→", text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
