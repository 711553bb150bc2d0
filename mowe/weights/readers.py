"""Readers of four checkpoint formats that take tensor data only and never run code from a file.

CTranslate2 `model.bin`, GGUF, TensorFlow checkpoints and torch checkpoints. A file that is cut off
or of another version raises `WeightsError`.
"""

import _codecs
import io
import math
import struct
from collections.abc import Iterator
from pickle import UnpicklingError  # only the name of what torch's restricted loader raises
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import scalar as numpy_scalar

from mowe.errors import WeightsError

CT2_VERSION = 6
CT2_DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)  # by their id in the file

GGUF_MAGIC = 0x46554747  # the letters GGUF
GGUF_VERSION = 3
GGUF_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
GGUF_STRING, GGUF_ARRAY = 8, 9
GGML_F32, GGML_F16, GGML_Q4_1, GGML_Q8_0 = 0, 1, 3, 8
GGML_BLOCK = 32  # values per quantised block
GGML_BLOCK_BYTES = {GGML_Q4_1: 20, GGML_Q8_0: 34}

# What torch's loader raises on bytes of another format, old (a row of pickles) or new (a zip).
TORCH_ERRORS = (RuntimeError, EOFError, LookupError, ValueError, TypeError, struct.error)

TF_MAGIC = 0xDB4775248B80FB57  # last 8 bytes of a table file
TF_FOOTER_BYTES = 48
TF_FLOAT = 1  # DataType of float32


class _Cursor:
    """Reads little-endian values one after another and refuses to run past the end."""

    def __init__(self, data: bytes, kind: str) -> None:
        self.view = memoryview(data)
        self.kind = kind
        self.position = 0

    def take(self, count: int) -> memoryview:
        end = self.position + count
        if end > len(self.view):
            raise WeightsError(
                f"not a whole {self.kind} file: it ends at byte {len(self.view)}, need {end}"
            )
        part = self.view[self.position : end]
        self.position = end
        return part

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]


def read_ct2(data: bytes) -> dict[str, np.ndarray]:
    """Tensors of a CTranslate2 `model.bin`, by name.

    Raises:
        WeightsError: If the file is cut off, of another version or has an unknown number type.
    """
    cursor = _Cursor(data, "CTranslate2")

    def text() -> str:
        return bytes(cursor.take(cursor.number("H")))[:-1].decode()  # ends with a zero byte

    version = cursor.number("I")
    if version != CT2_VERSION:
        raise WeightsError(f"CTranslate2 file has version {version}, need {CT2_VERSION}")
    text()  # name of the model class
    cursor.number("I")  # its revision
    tensors = {}
    for _ in range(cursor.number("I")):
        name = text()
        shape = [cursor.number("I") for _ in range(cursor.number("B"))]
        dtype = cursor.number("B")
        if dtype >= len(CT2_DTYPES):
            raise WeightsError(f"{name} has CTranslate2 number type {dtype}, need 0 to 4")
        raw = cursor.take(cursor.number("I"))
        tensors[name] = _shaped(np.frombuffer(raw, CT2_DTYPES[dtype]), shape, name)
    return tensors


def read_gguf(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and float32 tensors of a GGUF file (F32, F16, Q4_1 and Q8_0 are dequantised).

    Returns:
        The metadata by key, and the tensors by name with the slowest axis first.

    Raises:
        WeightsError: If the file is cut off, of another version or quantised in another way.
    """
    cursor = _Cursor(data, "GGUF")
    magic, version = cursor.number("I"), cursor.number("I")
    if magic != GGUF_MAGIC or version != GGUF_VERSION:
        raise WeightsError(f"not a GGUF file of version {GGUF_VERSION}")
    tensor_count, key_count = cursor.number("Q"), cursor.number("Q")
    metadata = {}
    for _ in range(key_count):
        key = _gguf_text(cursor)
        metadata[key] = _gguf_value(cursor, cursor.number("I"))
    entries = []
    for _ in range(tensor_count):
        name = _gguf_text(cursor)
        shape = [cursor.number("Q") for _ in range(cursor.number("I"))][::-1]
        entries.append((name, shape, cursor.number("I"), cursor.number("Q")))
    alignment = metadata.get("general.alignment", 32)
    start = math.ceil(cursor.position / alignment) * alignment
    tensors = {}
    for name, shape, kind, offset in entries:
        cursor.position = start + offset
        tensors[name] = _dequantise(cursor, name, kind, math.prod(shape)).reshape(shape)
    return metadata, tensors


def _gguf_text(cursor: _Cursor) -> str:
    return bytes(cursor.take(cursor.number("Q"))).decode()


def _gguf_value(cursor: _Cursor, kind: int) -> Any:
    if kind == GGUF_STRING:
        return _gguf_text(cursor)
    if kind == GGUF_ARRAY:
        item_kind, count = cursor.number("I"), cursor.number("Q")
        return [_gguf_value(cursor, item_kind) for _ in range(count)]
    if kind not in GGUF_SCALARS:
        raise WeightsError(f"GGUF metadata has value type {kind}, which is unknown")
    return cursor.number(GGUF_SCALARS[kind])


def _dequantise(cursor: _Cursor, name: str, kind: int, count: int) -> np.ndarray:
    """`count` float32 values from the cursor on; Q4_1 is scale * q + least, Q8_0 scale * q."""
    if kind == GGML_F32:
        return np.frombuffer(cursor.take(4 * count), np.float32)
    if kind == GGML_F16:
        return np.frombuffer(cursor.take(2 * count), np.float16).astype(np.float32)
    if kind not in GGML_BLOCK_BYTES or count % GGML_BLOCK:
        raise WeightsError(f"{name} has GGUF tensor type {kind}, need F32, F16, Q4_1 or Q8_0")
    size = GGML_BLOCK_BYTES[kind]
    blocks = np.frombuffer(cursor.take(count // GGML_BLOCK * size), np.uint8).reshape(-1, size)
    scale = _half(blocks[:, :2])
    if kind == GGML_Q8_0:
        return (blocks[:, 2:].copy().view(np.int8) * scale).ravel()
    packed = blocks[:, 4:]  # value i in the low half of byte i, value i + 16 in its high half
    values = np.concatenate([packed & 15, packed >> 4], axis=1)
    return (values * scale + _half(blocks[:, 2:4])).ravel()


def _half(pairs: np.ndarray) -> np.ndarray:
    return pairs.copy().view(np.float16).astype(np.float32)


def read_tf_checkpoint(index: bytes, shard: bytes) -> dict[str, np.ndarray]:
    """Float32 variables of a one-shard TensorFlow checkpoint, by name.

    The index is a sorted table of uncompressed blocks whose values are `BundleEntryProto`.

    Args:
        index: Content of the `.index` file.
        shard: Content of the `.data-00000-of-00001` file.

    Raises:
        WeightsError: If the index is no such table or points past the end of the shard.
    """
    if len(index) < TF_FOOTER_BYTES or struct.unpack("<Q", index[-8:])[0] != TF_MAGIC:
        raise WeightsError("not a TensorFlow checkpoint index")
    try:
        return dict(_tf_variables(index, shard))
    except (IndexError, struct.error) as error:
        raise WeightsError("not a whole TensorFlow checkpoint index") from error


def _tf_variables(index: bytes, shard: bytes) -> Iterator[tuple[str, np.ndarray]]:
    footer = index[-TF_FOOTER_BYTES:]
    _, position = _varint(footer, 0)  # where the block of meta data starts,
    _, position = _varint(footer, position)  # and its length: neither is needed
    offset, position = _varint(footer, position)
    length, _ = _varint(footer, position)
    for _, handle in _tf_block(index, offset, length):
        block_offset, position = _varint(handle, 0)
        block_length, _ = _varint(handle, position)
        for key, value in _tf_block(index, block_offset, block_length):
            entry = _proto(value)
            if key and entry.get(1, [0])[0] == TF_FLOAT:  # the empty key is the header
                yield key.decode(), _tf_tensor(key.decode(), entry, shard)


def _tf_tensor(name: str, entry: dict[int, list[Any]], shard: bytes) -> np.ndarray:
    """One variable: fields of the entry are 1 type, 2 shape, 4 offset, 5 size in bytes."""
    sizes = _proto(entry.get(2, [b""])[0]).get(2, [])
    shape = [_proto(size).get(1, [0])[0] for size in sizes]
    offset, length = entry.get(4, [0])[0], entry.get(5, [0])[0]
    raw = shard[offset : offset + length]
    if len(raw) != length:
        raise WeightsError(f"{name} lies outside the checkpoint's data file")
    return _shaped(np.frombuffer(raw, np.float32), shape, name)


def _tf_block(data: bytes, offset: int, length: int) -> list[tuple[bytes, bytes]]:
    """Keys and values of one table block; a key repeats only what differs from the one before."""
    if data[offset + length] != 0:
        raise WeightsError("the TensorFlow checkpoint index is compressed, need it uncompressed")
    block = data[offset : offset + length]
    restarts = struct.unpack("<I", block[-4:])[0]
    end = len(block) - 4 - 4 * restarts
    position, key, pairs = 0, b"", []
    while position < end:
        shared, position = _varint(block, position)
        fresh, position = _varint(block, position)
        size, position = _varint(block, position)
        key = key[:shared] + block[position : position + fresh]
        position += fresh
        pairs.append((key, block[position : position + size]))
        position += size
    return pairs


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A base-128 number and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


def _proto(data: bytes) -> dict[int, list[Any]]:
    """Fields of a protocol buffer message by number; fixed-width ones stay raw bytes."""
    position = 0
    fields: dict[int, list[Any]] = {}
    while position < len(data):
        tag, position = _varint(data, position)
        value: int | bytes
        if tag & 7 == 0:
            value, position = _varint(data, position)
        else:
            size = {1: 8, 5: 4}.get(tag & 7)
            if size is None:
                size, position = _varint(data, position)
            value = data[position : position + size]
            position += size
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def read_torch(data: bytes) -> Any:
    """What a torch checkpoint holds, through torch's own loader for tensors and plain values.

    Numpy scalars are allowed as well; a file that names anything else is refused.

    Raises:
        WeightsError: If the file is no torch checkpoint, or names a class or function.
    """
    harmless: list[Any] = [
        numpy_scalar,
        (numpy_scalar, "numpy.core.multiarray.scalar"),  # its name before numpy 2
        np.dtype,
        np.dtypes.Int64DType,
        np.dtypes.Float64DType,
        _codecs.encode,
    ]
    try:
        with torch.serialization.safe_globals(harmless):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (*TORCH_ERRORS, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"not a torch checkpoint of plain tensors: {reason}") from error


def _shaped(values: np.ndarray, shape: list[int], name: str) -> np.ndarray:
    if values.size != math.prod(shape):
        raise WeightsError(f"{name} has {values.size} values, its shape says {shape}")
    return values.reshape(shape)
