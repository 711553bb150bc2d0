"""What files say of their own length that neither reader tells."""

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

OGG_PAGE_BYTES = 65_307  # at most
OGG_FIRST_PAGE = b"OggS\x00\x02"  # version 0, and the flag of a stream's first page
SCAN_BYTES = 2**20  # read at a time
ROUNDING = 64  # bytes; fewer missing ones are bad bookkeeping, not a cut
MIN_LEFT_OVER = 0.5  # s; less behind the sound is padding
MAX_CHUNKS = 1000
PCM = (1, 3, 0xFFFE)  # integers, floats, and either with a longer header
MP3_RATES = (44_100, 48_000, 32_000)  # Hz of MPEG 1; halved for 2, and again for 2.5
MP3_ENCODERS = (b"LAME", b"Lavc", b"Lavf")  # they note the silence that they add
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


class Ending(NamedTuple):
    """Where a file ends, compared with where it should."""

    cut: bool = False  # its end is missing
    left_over_seconds: float = 0.0  # s of what follows the sound, of which no header speaks


class _Chunks(NamedTuple):
    """How a format strings its chunks together."""

    first: int  # where they begin
    kind_bytes: int
    size_bytes: int
    order: Literal["little", "big"]
    sound: bytes  # how the kind of that with the samples begins
    size_with_head: bool = False
    aligned: int = 2  # bytes


class _Chunk(NamedTuple):
    kind: bytes
    start: int  # of its content
    size: int  # bytes, by its header


WAV = _Chunks(12, 4, 4, "little", b"data")
AIFF = _Chunks(12, 4, 4, "big", b"SSND")
CAF = _Chunks(8, 4, 8, "big", b"data", aligned=1)
W64 = _Chunks(40, 16, 8, "little", b"data", size_with_head=True, aligned=8)


def read_at(file: BinaryIO, start: int, count: int) -> bytes:
    """At most so many bytes from `start` on."""
    file.seek(start)
    return file.read(count)


def ending(file: BinaryIO) -> Ending:
    """Whether a file ends before or behind its sound, where its format lets one see that."""
    size = file.seek(0, 2)
    head = read_at(file, 0, 16)
    kind, form = head[:4], head[8:12]
    chunks = {(b"RIFF", b"WAVE"): WAV, (b"FORM", b"AIFF"): AIFF, (b"FORM", b"AIFC"): AIFF}
    layout = chunks.get((kind, form)) or {b"caff": CAF, b"riff": W64}.get(kind)
    if layout is not None:
        return _chunked_ending(file, size, layout)
    if kind == b"OggS":
        tail = read_at(file, max(0, size - OGG_PAGE_BYTES), OGG_PAGE_BYTES)
        page = tail.rfind(b"OggS")
        # the flag that only the last page of a stream has
        return Ending(cut=len(tail) > page + 5 and not tail[page + 5] & 0x04)
    if kind == b"RIFF" and form == b"AVI ":
        return Ending(_is_cut(8, int.from_bytes(head[4:8], "little"), size))
    if kind == b".snd":
        start, length = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        return Ending(_is_cut(start, length, size))
    return Ending()


def ogg_streams(file: BinaryIO) -> int:
    """How many streams begin in an Ogg file: beside one another, or chained end to end."""
    file.seek(0)
    count, end = 0, b""
    while block := file.read(SCAN_BYTES):
        count += (end + block).count(OGG_FIRST_PAGE)
        end = block[1 - len(OGG_FIRST_PAGE) :]
    return count


def mp3_seconds(file: BinaryIO) -> float:
    """Length of an MP3 that its encoder wrote into the first frame, s; 0 where there is none."""
    start = _behind_tag(read_at(file, 0, 10))
    frame = read_at(file, start, 256)
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return 0.0
    version, rate = frame[1] >> 3 & 3, frame[2] >> 2 & 3  # version 3 is MPEG 1, 2 is 2, 0 is 2.5
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    about = frame[place + 4 : place + 12]
    if place < 0 or len(about) < 8 or version == 1 or rate == 3 or not about[3] & 1:
        return 0.0
    samples = int.from_bytes(about[4:], "big") * (1152 if version == 3 else 576)
    if len(frame) >= place + 144 and frame[place + 120 : place + 124] in MP3_ENCODERS:
        silence = int.from_bytes(frame[place + 141 : place + 144], "big")  # 12 bits for either end
        samples -= (silence >> 12) + (silence & 0xFFF)
    return samples / (MP3_RATES[rate] / {3: 1, 2: 2, 0: 4}[version])


def asf_is_broadcast(file: BinaryIO) -> bool:
    """Whether a WMA file was written to a pipe, so that its header does not know its length."""
    head = read_at(file, 0, 4096)
    place = head.find(ASF_PROPERTIES)
    return place >= 0 and len(head) > place + 88 and bool(head[place + 88] & 1)


def _chunked_ending(file: BinaryIO, size: int, layout: _Chunks) -> Ending:
    byte_rate, behind_sound, promised = 0, False, 0
    for chunk in _chunks(file, layout):
        if chunk.kind.startswith(layout.sound):
            if _is_placeholder(chunk.size, layout.size_bytes):
                return Ending()
            if max(chunk.start + chunk.size, promised) > size + ROUNDING:
                return Ending(cut=True)
            behind_sound = True
        elif layout is WAV and not all(32 <= letter < 127 for letter in chunk.kind):
            left = (size - chunk.start + 8) / byte_rate if byte_rate and behind_sound else 0.0
            return Ending(left_over_seconds=left if left >= MIN_LEFT_OVER else 0.0)
        elif chunk.kind == b"fmt ":
            byte_rate = _byte_rate(read_at(file, chunk.start, 12))
        elif chunk.kind == b"COMM" and chunk.size == 18:  # of an AIFF that is not compressed
            promised = _aiff_bytes(read_at(file, chunk.start, 8))
    return Ending()


def _byte_rate(about: bytes) -> int:
    """Bytes of a second of a WAV with plain samples; 0 of others."""
    plain = int.from_bytes(about[:2], "little") in PCM
    return int.from_bytes(about[8:12], "little") if plain else 0


def _aiff_bytes(about: bytes) -> int:
    channels, frames, bits = (
        int.from_bytes(about[start:end], "big") for start, end in ((0, 2), (2, 6), (6, 8))
    )
    return frames * channels * ((bits + 7) // 8)


def _chunks(file: BinaryIO, layout: _Chunks) -> Iterator[_Chunk]:
    place, head_bytes = layout.first, layout.kind_bytes + layout.size_bytes
    for _ in range(MAX_CHUNKS):
        head = read_at(file, place, head_bytes)
        if len(head) < head_bytes:
            return
        size = int.from_bytes(head[layout.kind_bytes :], layout.order)
        size = max(0, size - head_bytes) if layout.size_with_head else size
        yield _Chunk(head[: layout.kind_bytes], place + head_bytes, size)
        place += head_bytes + size + -size % layout.aligned


def _is_cut(start: int, length: int, size: int) -> bool:
    """Whether what should have `length` bytes from `start` on does not fit into the file."""
    return not _is_placeholder(length) and start + length > size + ROUNDING


def _is_placeholder(size: int, size_bytes: int = 4) -> bool:
    """Whether a writer that could not go back left this: none, or about the largest number."""
    bits = 8 * size_bytes
    return size == 0 or min(abs(size - 2**bits), abs(size - 2 ** (bits - 1))) <= 2**16


def _behind_tag(head: bytes) -> int:
    """Where an MP3's sound begins: behind the tag that may stand before it."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for seven_bits in head[6:10]:
        size = size << 7 | seven_bits & 0x7F
    return size + 10
