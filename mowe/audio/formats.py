"""The table of formats: what people call them, how their files end and begin, who reads them."""

from typing import NamedTuple


class Format(NamedTuple):
    """One format of audio files."""

    word: str  # for people
    endings: tuple[str, ...]  # of file names, lower case; only for walking folders and choosing
    demuxers: tuple[str, ...]  # FFmpeg's names of what opens it
    marks: tuple[tuple[int, bytes], ...] = ()  # bytes that give it away, and where they stand


FORMATS = (
    Format("WAV", (".wav", ".w64"), ("wav", "w64"), ((8, b"WAVE"), (0, b"riff"))),
    Format("FLAC", (".flac",), ("flac",), ((0, b"fLaC"),)),
    Format("MP3", (".mp3", ".mp2"), ("mp3",), ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"))),
    Format("Ogg", (".ogg", ".oga"), ("ogg",), ((0, b"OggS"),)),
    Format("Opus", (".opus",), ("ogg",)),
    Format("M4A", (".m4a", ".m4b", ".mp4", ".mov", ".3gp"), ("mov",), ((4, b"ftyp"),)),
    Format("AAC", (".aac",), ("aac",)),
    Format("WebM", (".webm", ".weba", ".mka", ".mkv"), ("matroska",), ((0, b"\x1aE\xdf\xa3"),)),
    Format("AIFF", (".aif", ".aiff", ".aifc"), ("aiff",), ((8, b"AIFF"), (8, b"AIFC"))),
    Format("WMA", (".wma",), ("asf",), ((0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),)),
    Format("AMR", (".amr",), ("amr",), ((0, b"#!AMR"),)),
    Format("CAF", (".caf",), ("caf",), ((0, b"caff"),)),
    Format("AU", (".au",), ("au",), ((0, b".snd"),)),
    Format("SPHERE", (".sph",), ("nistsphere",), ((0, b"NIST_1A"),)),
    Format("AC-3", (".ac3", ".eac3"), ("ac3", "eac3"), ((0, b"\x0bw"),)),
    Format("WavPack", (".wv",), ("wv",), ((0, b"wvpk"),)),
    Format("Monkey's Audio", (".ape",), ("ape",), ((0, b"MAC "),)),
    Format("True Audio", (".tta",), ("tta",), ((0, b"TTA1"),)),
    Format("Musepack", (".mpc",), ("mpc", "mpc8"), ((0, b"MP+"), (0, b"MPCK"))),
    Format("AVI", (".avi",), ("avi",), ((8, b"AVI "),)),
    Format("MPEG-TS", (), ("mpegts",)),  # .ts more often ends a file of TypeScript
)

AUDIO_SUFFIXES = frozenset(ending for one in FORMATS for ending in one.endings)
# FFmpeg also opens playlists and session descriptions, which name other files and hosts.
DEMUXERS = ",".join(demuxer for one in FORMATS for demuxer in one.demuxers)
HEAD_BYTES = 4096  # from which content is guessed
TEXT = "text"  # what no format here begins with
READABLE = f"{', '.join(one.word for one in FORMATS[:-1])} and {FORMATS[-1].word}"


def marked_format(head: bytes) -> str | None:
    """What people call the format that begins like this; None for one that is not in the table."""
    return next(
        (
            one.word
            for one in FORMATS
            for start, mark in one.marks
            if head[start : start + len(mark)] == mark
        ),
        None,
    )


def refusal(name: str, head: bytes) -> str:
    """Why a file that begins like this cannot be read, in a sentence."""
    return f"{name} holds {describe_content(head)}; {READABLE} can be read."


def describe_content(head: bytes) -> str:
    """What a file that nothing could read seems to hold, from its first bytes."""
    if word := marked_format(head):
        return f"a damaged or incomplete {word} recording"
    text = head[:512].decode("utf-8", errors="replace").rstrip("\ufffd")  # cut inside a letter
    readable = all(letter.isprintable() or letter.isspace() for letter in text)
    return TEXT if readable and "\ufffd" not in text and text else "a format that is not read here"
