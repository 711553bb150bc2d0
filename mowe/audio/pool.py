"""Decodes files in worker processes: a crash, a hang or a hunger for memory costs one file.

Where the system has no such processes (Windows), files are decoded in this one.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mowe.audio import decoding
from mowe.audio.decoding import Decoded
from mowe.audio.limits import AudioLimits, duration
from mowe.errors import AudioError

WORKERS = max(2, min(4, os.cpu_count() or 1))
MEMORY_BYTES = 512 * 2**20  # that a worker may allocate
START_SECONDS = 60.0  # s, that a worker may take to start
COPY_BYTES = 2**24  # moved at a time
# in a worker numpy multiplies small matrices, where more threads only get in the way
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
AVAILABLE = os.name == "posix" and hasattr(socket, "send_fds") and bool(sys.executable)


class WorkerError(Exception):
    """A worker died, or did not answer in time."""


class Worker:
    """One process, and the socket to it."""

    def __init__(self, memory_bytes: int, function: str) -> None:
        """Start it; it may allocate `memory_bytes`, and `function` decodes (`module:name`)."""
        self._socket, theirs = socket.socketpair()
        number, path = theirs.fileno(), os.pathsep.join(one or str(Path.cwd()) for one in sys.path)
        with theirs:
            # a fresh interpreter, not a fork: threads and torch do not survive one
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mowe.audio.worker"]
                + [str(number), str(memory_bytes), function],
                env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": path},
                pass_fds=[number],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this process, which ends the worker
            )
        self._ready, self._received = False, b""

    @property
    def alive(self) -> bool:
        """Whether it can take a request."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait until it can take requests.

        Raises:
            WorkerError: If it cannot be started.
        """
        if not self._ready:
            self._read_line(START_SECONDS)
            self._ready = True

    def ask(self, request: dict[str, Any], files: list[int], seconds: float) -> dict[str, Any]:
        """The answer to one request, within so many seconds.

        Raises:
            WorkerError: If there is none; the worker is of no more use.
        """
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode() + b"\n"], files)
        except OSError:
            raise WorkerError(self._why()) from None
        answer: dict[str, Any] = json.loads(self._read_line(seconds))
        return answer

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _read_line(self, seconds: float) -> bytes:
        until = time.monotonic() + seconds
        while b"\n" not in self._received:
            self._socket.settimeout(max(until - time.monotonic(), 0.001))
            try:
                part = self._socket.recv(COPY_BYTES)
            except TimeoutError:
                raise WorkerError(f"takes longer than {duration(seconds)} to decode") from None
            except OSError:
                part = b""
            if not part:
                raise WorkerError(self._why())
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _why(self) -> str:
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:  # it closed the socket, and lives
            return "confuses the decoder"
        return f"stops the decoder ({signal.Signals(-code).name if code < 0 else f'exit {code}'})"


class DecodingPool:
    """Workers that are started when they are needed, kept warm, and replaced when they die.

    Safe to use from several threads; each worker decodes one file at a time.
    """

    def __init__(
        self,
        *,
        workers: int = WORKERS,
        memory_bytes: int = MEMORY_BYTES,
        function: str = "mowe.audio.decoding:decode",
    ) -> None:
        """Start nothing yet.

        Args:
            workers: How many at most.
            memory_bytes: That each may allocate.
            function: `module:name` of what decodes.
        """
        self._count, self._memory_bytes, self._function = workers, memory_bytes, function
        self.forget()

    def forget(self) -> None:
        """Begin anew and end nothing: a forked process must leave its parent's workers alone."""
        self._slots, self._lock = threading.Semaphore(self._count), threading.Lock()
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._usable = AVAILABLE

    def warm(self) -> None:
        """Start a worker where there is none, without waiting for it."""
        if self._usable and not self._workers:
            self._give_back(self._start())

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            gone, self._workers, self._idle = self._workers, set(), []
        for worker in gone:
            worker.close()

    def decode(self, file: BinaryIO, name: str, limits: AudioLimits) -> tuple[Decoded, np.ndarray]:
        """Decode a file.

        Args:
            file: Open for reading, with a descriptor.
            name: What to call it in errors.
            limits: What is allowed.

        Returns:
            The account of it, and its samples `(samples,)` float32.

        Raises:
            AudioError: If it is over a limit, or cannot be decoded.
        """
        with scratch_file() as out:
            worker_answer = self._ask(file, out, name, limits) if self._usable else None
            if worker_answer is None:
                decoded = decoding.decode(file, out, name, limits)
                out.flush()
            else:
                decoded = _understood(worker_answer, name, self._memory_bytes)
            return decoded, _take_samples(out)

    def _ask(
        self, file: BinaryIO, out: BinaryIO, name: str, limits: AudioLimits
    ) -> dict[str, Any] | None:
        """A worker's answer; None where none can be started."""
        request = {"name": name, "limits": asdict(limits)}
        descriptors = [file.fileno(), out.fileno()]
        with self._slots:
            worker = self._ready_worker()
            if worker is None:
                return None
            reusable = False
            try:
                answer = worker.ask(request, descriptors, limits.max_decode_seconds)
                reusable = "decoded" in answer or "refused" in answer
            except WorkerError as gone:
                raise AudioError(f"{name} {gone}; another recording is needed.") from None
            finally:  # whoever waits may be interrupted, and the worker be in the middle
                self._give_back(worker) if reusable else self._drop(worker)
        return answer

    def _ready_worker(self) -> Worker | None:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is not None and not worker.alive:
            self._drop(worker)
            return self._ready_worker()
        try:
            worker = worker or self._start()
            worker.wait_until_ready()
        except (WorkerError, OSError) as error:
            if worker is not None:
                self._drop(worker)
            self._usable = False
            warnings.warn(
                f"no worker process can be started ({error}): files are decoded in this one",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        return worker

    def _start(self) -> Worker:
        worker = Worker(self._memory_bytes, self._function)
        with self._lock:
            self._workers.add(worker)
        return worker

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            self._idle.append(worker)

    def _drop(self, worker: Worker) -> None:
        with self._lock:
            self._workers.discard(worker)
        worker.close()


@cache
def shared_pool() -> DecodingPool:
    """The pool of this process, ended when it exits."""
    pool = DecodingPool()
    atexit.register(pool.close)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=pool.forget)
    return pool


def scratch_file() -> BinaryIO:
    """An empty file that has no name and lies in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("recording"), "w+b")
    return tempfile.TemporaryFile()


def _understood(answer: dict[str, Any], name: str, memory_bytes: int) -> Decoded:
    if "refused" in answer:
        raise AudioError(answer["refused"])
    if "out_of_memory" in answer:
        megabytes = memory_bytes // 10**6
        raise AudioError(f"{name} takes more than {megabytes} MB of memory to decode.")
    if "fault" in answer:
        raise AudioError(f"{name} cannot be decoded ({answer['fault']}).")
    return Decoded(**{**answer["decoded"], "notes": tuple(answer["decoded"]["notes"])})


def _take_samples(file: BinaryIO) -> np.ndarray:
    """The float32 samples in a file, which is emptied meanwhile: both are never there in full."""
    size = file.seek(0, os.SEEK_END)
    samples = np.empty(size // 4, np.float32)
    content = samples.view(np.uint8).data
    for start in reversed(range(0, size, COPY_BYTES)):
        file.seek(start)
        file.readinto(content[start : start + COPY_BYTES])  # type: ignore[attr-defined]
        file.truncate(start)
    return samples
