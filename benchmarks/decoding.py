"""Measures decoding: what a worker process adds to a file, and the memory of long ones.

`python -m benchmarks.decoding` writes `results/decoding.json`. Sounds are noise and silence.
"""

import argparse
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.machine import describe
from mowe.audio import AudioLimits, DecodingPool, load_audio
from mowe.audio.decoding import decode
from mowe.audio.files import open_recording

RESULTS = Path(__file__).parent / "results"
ROUNDS = 100
CLIPS = {"3 s of 16 kHz": (16_000, 1), "3 s of 48 kHz stereo": (48_000, 2)}
LONG = {"5 min of silence at 192 kHz": (192_000, 1, 300)}
LONGEST = {"30 min of silence at 192 kHz": (192_000, 1, 1800)}


def measure_clip(path: Path) -> dict[str, float]:
    """Milliseconds to decode a short file here, and through a warm worker; medians."""
    pool = DecodingPool()
    started = time.perf_counter()
    load_audio(path, pool=pool)
    first = 1000 * (time.perf_counter() - started)

    def here() -> None:
        with open_recording(path) as file:
            decode(file, io.BytesIO(), path.name, AudioLimits())

    times = {"here": here, "worker": lambda: load_audio(path, pool=pool)}
    found = {name: _median(work) for name, work in times.items()}
    pool.close()
    added = found["worker"] - found["here"]
    return {"first_ms": first, "here_ms": found["here"], "added_ms": added}


def measure_memory(path: Path) -> dict[str, float]:
    """Peak megabytes above an idle process, of both processes, and what is kept; in a fresh one."""
    command = [sys.executable, "-m", "benchmarks.decoding", "--one", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def decode_one(path: Path) -> dict[str, float]:
    """What `measure_memory` measures, in this process."""
    pool = DecodingPool()
    before = _peak(resource.RUSAGE_SELF)
    started = time.perf_counter()
    compact = load_audio(path, pool=pool).compact()
    seconds = time.perf_counter() - started
    pool.close()
    ours, worker = _peak(resource.RUSAGE_SELF) - before, _peak(resource.RUSAGE_CHILDREN)
    kept = compact.bytes_held / 1e6
    return {"seconds": seconds, "here_mb": ours, "worker_mb": worker, "kept_mb": kept}


def _median(work: Callable[[], Any]) -> float:
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken)


def _peak(who: int) -> float:
    return resource.getrusage(who).ru_maxrss * 1024 / 1e6


def _write(path: Path, rate: int, channels: int, seconds: int, *, silent: bool) -> Path:
    draw = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, channels, subtype="PCM_16") as file:
        for _ in range(seconds):
            noise = draw.normal(0, 0.1, (rate, channels))
            file.write(np.zeros_like(noise) if silent else noise)
    return path


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=Path, help="measure the memory of one file")
    parser.add_argument("--long", action="store_true", help="half an hour, too")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(decode_one(options.one)))
        return
    results: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "machine": describe()}
    with tempfile.TemporaryDirectory() as folder:
        for name, (rate, channels) in CLIPS.items():
            path = _write(Path(folder, "clip.wav"), rate, channels, 3, silent=False)
            results[name] = measure_clip(path)
        for name, (rate, channels, seconds) in (LONG | (LONGEST if options.long else {})).items():
            path = _write(Path(folder, "long.flac"), rate, channels, seconds, silent=True)
            results[name] = measure_memory(path)
    text = json.dumps(results, indent=2)
    print(text)
    (RESULTS / "decoding.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
