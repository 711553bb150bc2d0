"""What files say of their own length that neither reader tells."""

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

OGG_PAGE_BYTES = 65_307  # at most
ROUNDING = 64  # bytes; fewer missing ones are bad bookkeeping, not a cut
MIN_LEFT_OVER = 0.5  # s; less behind the sound is padding
MAX_CHUNKS = 1000
PCM = (1, 3, 0xFFFE)  # integers, floats, and either with a longer header
MP3_RATES = (44_100, 48_000, 32_000)  # Hz of MPEG 1; halved for 2, and again for 2.5
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")

ByteOrder = Literal["little", "big"]


class Ending(NamedTuple):
    """Where a file ends, compared with where it should."""

    cut: bool = False  # its end is missing
    left_over_seconds: float = 0.0  # s of what follows the sound, of which no header speaks


class _Chunk(NamedTuple):
    kind: bytes
    start: int  # of its content
    size: int  # bytes, by its header


def read_at(file: BinaryIO, start: int, count: int) -> bytes:
    """At most so many bytes from `start` on."""
    file.seek(start)
    return file.read(count)


def ending(file: BinaryIO) -> Ending:
    """Whether a RIFF, AIFF or Ogg file ends before or behind its sound; others say nothing."""
    size = file.seek(0, 2)
    head = read_at(file, 0, 12)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _chunked_ending(file, size, "little")
    if head[:4] == b"FORM" and head[8:11] == b"AIF":
        return _chunked_ending(file, size, "big")
    if head[:4] == b"OggS":
        tail = read_at(file, max(0, size - OGG_PAGE_BYTES), OGG_PAGE_BYTES)
        page = tail.rfind(b"OggS")
        # the flag that only the last page of a stream has
        return Ending(cut=len(tail) > page + 5 and not tail[page + 5] & 0x04)
    return Ending()


def mp3_seconds(file: BinaryIO) -> float:
    """Length of an MP3 that its encoder wrote into the first frame, s; 0 where there is none."""
    start = _behind_tag(read_at(file, 0, 10))
    frame = read_at(file, start, 256)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return 0.0
    version, rate = frame[1] >> 3 & 3, frame[2] >> 2 & 3  # version 3 is MPEG 1, 2 is 2, 0 is 2.5
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    if place < 0 or version == 1 or rate == 3 or not frame[place + 7] & 1:
        return 0.0
    frames = int.from_bytes(frame[place + 8 : place + 12], "big")
    samples = 1152 if version == 3 else 576  # in each
    return frames * samples / (MP3_RATES[rate] / {3: 1, 2: 2, 0: 4}[version])


def asf_is_broadcast(file: BinaryIO) -> bool:
    """Whether a WMA file was written to a pipe, so that its header does not know its length."""
    head = read_at(file, 0, 4096)
    place = head.find(ASF_PROPERTIES)
    return place >= 0 and len(head) > place + 88 and bool(head[place + 88] & 1)


def _chunked_ending(file: BinaryIO, size: int, order: ByteOrder) -> Ending:
    byte_rate, behind_sound = 0, False
    for chunk in _chunks(file, order):
        if not chunk.kind.isascii() or not chunk.kind.decode("ascii").isprintable():
            left = (size - chunk.start + 8) / byte_rate if byte_rate and behind_sound else 0.0
            return Ending(left_over_seconds=left if left >= MIN_LEFT_OVER else 0.0)
        if chunk.kind == b"fmt ":
            about = read_at(file, chunk.start, 12)
            known = int.from_bytes(about[:2], "little") in PCM
            byte_rate = int.from_bytes(about[8:12], "little") if known else 0
        elif chunk.kind in (b"data", b"SSND"):
            if _is_placeholder(chunk.size):
                return Ending()
            if chunk.start + chunk.size > size + ROUNDING:
                return Ending(cut=True)
            behind_sound = True
    return Ending()


def _chunks(file: BinaryIO, order: ByteOrder) -> Iterator[_Chunk]:
    place = 12
    for _ in range(MAX_CHUNKS):
        head = read_at(file, place, 8)
        if len(head) < 8:
            return
        size = int.from_bytes(head[4:], order)
        yield _Chunk(head[:4], place + 8, size)
        place += 8 + size + size % 2


def _is_placeholder(size: int) -> bool:
    """Whether a writer that could not go back left this: none, or about 2 or 4 GiB."""
    return size == 0 or min(abs(size - 2**31), abs(size - 2**32)) <= 2**16


def _behind_tag(head: bytes) -> int:
    """Where an MP3's sound begins: behind the tag that may stand before it."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for seven_bits in head[6:10]:
        size = size << 7 | seven_bits & 0x7F
    return size + 10
