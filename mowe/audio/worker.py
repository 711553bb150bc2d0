"""A process that decodes files for another one, so that a fault in a decoder costs one file.

It speaks lines of JSON on one socket. A request comes with two open files: the recording, and an
empty one that gets the samples. Torch is never imported here, a worker starts in half a second.
"""

import contextlib
import importlib
import json
import os
import resource
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mowe.audio.limits import AudioLimits
from mowe.errors import AudioError

LINE_BYTES = 65_536


def main(descriptor: str, memory_bytes: str, function: str) -> None:
    """Serve requests until the other side closes the socket.

    Args:
        descriptor: The socket's number.
        memory_bytes: What the process may allocate.
        function: `module:name` of what decodes; see `mowe.audio.decoding.decode`.
    """
    module, _, name = function.partition(":")
    decode = getattr(importlib.import_module(module), name)
    _limit(int(memory_bytes))
    with socket.socket(fileno=int(descriptor)) as requests:
        _send(requests, {"ready": True})
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            for number in (1, 2):  # decoders print what they think of a file
                os.dup2(nowhere.fileno(), number)
        while True:
            line, files = _receive(requests)
            if not line:
                return
            answer, reusable = _answer(decode, json.loads(line), files)
            _send(requests, answer)
            if not reusable:
                return


def _receive(requests: socket.socket) -> tuple[bytes, list[int]]:
    """A line, with the files that came along; an empty one when the other side has gone."""
    line, files = b"", []
    while not line.endswith(b"\n"):
        part, descriptors, _, _ = socket.recv_fds(requests, LINE_BYTES, 2)
        if not part:
            return b"", []
        line += part
        files += descriptors
    return line, files


def _answer(
    decode: Callable[..., Any], request: dict[str, Any], files: list[int]
) -> tuple[dict[str, Any], bool]:
    """The answer to one request, and whether the process may take another."""
    source, sink = files
    try:
        with open(source, "rb", buffering=0) as file, open(sink, "wb") as out:  # noqa: PTH123
            decoded = decode(file, out, request["name"], AudioLimits(**request["limits"]))
        return {"decoded": asdict(decoded)}, True
    except AudioError as error:
        return {"refused": str(error)}, True
    except MemoryError:  # what is left of it may be in pieces
        return {"out_of_memory": True}, False
    except Exception as error:  # whatever a damaged file brings a decoder to raise
        return {"fault": f"{type(error).__name__}: {error}"}, False


def _limit(memory_bytes: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # a system that does not know such a limit
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no dump of the memory at each fault


def _send(requests: socket.socket, answer: dict[str, Any]) -> None:
    requests.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
