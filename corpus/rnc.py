"""Rob Northen Compression, method 1, as games of the 1990s pack their files.

After a head of 18 bytes come blocks: three Huffman tables (runs of literal bytes, distances,
lengths), a count, and as many runs, each but the last followed by a copy of earlier output. Bits
are read from little-endian 16-bit words, lowest first; literal bytes lie between those words, right
behind the last one that was needed. The format is described by ScummVM's reader
(engines/sky/rnc_deco.cpp).
"""

import struct

from corpus.download import CorpusError

_HEAD = struct.Struct(">4sIIHHBB")  # name, sizes unpacked and packed, their sums, slack, blocks
_NAME = b"RNC\x01"
_SHORTEST_COPY = 2

Table = tuple[list[tuple[int, int]], int]  # (bits, symbol) by the next bits, and their mask


def is_packed(data: bytes) -> bool:
    """Whether this is such a file."""
    return data[:4] == _NAME


def unpack(data: bytes) -> bytes:
    """What was packed.

    Raises:
        CorpusError: If the file is cut short or does not give what its head says.
    """
    if len(data) < _HEAD.size or not is_packed(data):
        raise CorpusError(f"a packed file should begin with {_NAME!r}, found {data[:4]!r}")
    _, unpacked, packed, _, _, _, blocks = _HEAD.unpack_from(data)
    if len(data) < _HEAD.size + packed:
        raise CorpusError(
            f"a packed file should have {packed} bytes behind its head, "
            f"found {len(data) - _HEAD.size}"
        )
    bits, out = _Bits(data, _HEAD.size), bytearray()
    bits.take(2)
    for _ in range(blocks):
        _block(bits, out)
    if len(out) != unpacked:
        raise CorpusError(f"a packed file should hold {unpacked} bytes, found {len(out)}")
    return bytes(out)


def _block(bits: "_Bits", out: bytearray) -> None:
    runs, distances, lengths = bits.table(), bits.table(), bits.table()
    for left in range(bits.take(16) - 1, -1, -1):
        if run := bits.number(runs):
            out += bits.bytes(run)
        if left:
            distance = bits.number(distances) + 1
            length = bits.number(lengths) + _SHORTEST_COPY
            if distance > len(out):
                raise CorpusError(f"a packed file copies from {distance - len(out)} bytes before")
            start = len(out) - distance
            # a copy may run into itself
            out += (out[start:] * (length // distance + 1))[:length]


class _Bits:
    """Bits and bytes of a packed file, in the order of use."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data + bytes(4), position
        self.word = self.count = 0  # bits of the last word that are left, and how many

    def take(self, count: int) -> int:
        """The next bits as a number, at most 16."""
        if self.count < count:
            self.word |= self._next() << self.count
            self.position += 2
            self.count += 16
        value = self.word & ((1 << count) - 1)
        self.word >>= count
        self.count -= count
        return value

    def bytes(self, count: int) -> bytes:
        """The next literal bytes."""
        start = self.position
        self.position += count
        return self.data[start : self.position]

    def table(self) -> Table:
        """A Huffman table: the number of symbols, and the bits of each one's code."""
        sizes = [self.take(4) for _ in range(self.take(5))]
        width = max(sizes, default=0)
        found = [(0, -1)] * (1 << width)
        code = 0
        for size in range(1, width + 1):
            for symbol, bits in enumerate(sizes):
                if bits == size:
                    first = int(f"{code:0{size}b}"[::-1], 2)
                    found[first :: 1 << size] = [(size, symbol)] * (1 << (width - size))
                    code += 1
            code <<= 1
        return found, (1 << width) - 1

    def number(self, table: Table) -> int:
        """A symbol and the bits behind it: 0, 1, or one bit less than the symbol and a 1 before."""
        found, mask = table
        ahead = self.word | self._next() << self.count  # looked at, not used up
        size, symbol = found[ahead & mask]
        if symbol < 0:
            raise CorpusError("a packed file has a code that is not in its table")
        self.take(size)
        return symbol if symbol < 2 else self.take(symbol - 1) | 1 << (symbol - 1)

    def _next(self) -> int:
        data, at = self.data, self.position
        if at + 1 >= len(data):
            raise CorpusError("a packed file ends too early")
        return data[at] | data[at + 1] << 8
