"""Measures corpus building and training of `mini` on made-up sounds: speed, shares, memory.

`python -m benchmarks.training` writes `results/training.json` and `results/training.md`. The sounds
are noise with a rhythm, so what is measured is work, never quality.
"""

import argparse
import functools
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import Neighbours, describe, is_quiet
from benchmarks.worker import CORES
from mowe.errors import LogError
from mowe.files import read_json, read_jsonl

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
SECONDS = 5.0  # of a clip
WARM_UP = 2  # steps that are not counted
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
BATCH = 8
SETTINGS = {"preset": "mini", "dense_steps": 0}
REPORT = {"log_every": 1, "dev_every": 0, "save_minutes": 1000.0}

# What is timed: a name in the table, a module, and a method of a class in it.
DOORS = (
    ("data", "mowe.data.features", "FeatureStore._waveform"),
    ("data", "mowe.data.features", "FeatureStore._one"),
    ("encoders", "mowe.data.features", "FeatureStore._compute"),
    ("fusion and adapter", "mowe.model", "MoWEModel.adapt"),
    ("language model", "mowe.model.language_model", "LanguageModel.loss"),
    ("backward", "accelerate", "Accelerator.backward"),
)
NAMES = tuple(dict.fromkeys(name for name, _, _ in DOORS))


class Stopwatch:
    """Seconds spent in each named part, inner parts taken from outer ones."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Start at nothing."""
        self.seconds: dict[str, float] = defaultdict(float)
        self._clock, self._running = clock, [""]
        self._since = clock()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time counted under a name."""

        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            self._switch()
            self._running.append(name)
            try:
                return function(*arguments, **named)
            finally:
                self._switch()
                self._running.pop()

        return wrapped

    def _switch(self) -> None:
        now = self._clock()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now


def attach(watch: Stopwatch, doors: Iterable[tuple[str, str, str]] = DOORS) -> list[str]:
    """Time these methods from now on; the names of those that no longer exist."""
    missing = []
    for name, module, path in doors:
        class_name, _, method = path.partition(".")
        owner = getattr(importlib.import_module(module), class_name, None)
        if hasattr(owner, method):
            setattr(owner, method, watch.timed(name, getattr(owner, method)))
        else:
            missing.append(f"{module}.{path}")
    return missing


def make_sound(number: int) -> np.ndarray:
    """`SECONDS` of noise that swells three times a second, another one for each number."""
    times = np.arange(round(SECONDS * 44_100)) / 44_100
    noise = np.random.default_rng(number).standard_normal(len(times))
    return (0.1 * noise * (1 + np.sin(6 * np.pi * times))).astype(np.float32)


def build(folder: Path, clips: int) -> float:
    """Build a corpus of `clips` made-up sounds as `make corpus` would; seconds taken."""
    from corpus import CorpusSettings, build_corpus
    from corpus.clips import SOUND_RATE, Clip, Source

    def clip(number: int) -> Clip:
        name, words = f"made-{number:04d}", np.random.default_rng(number).choice(WORDS, 9)
        shared: dict[str, Any] = {"name": name, "recording": name}
        shared["load"] = lambda: (make_sound(number), SOUND_RATE)
        shared["split"] = "dev" if number % 12 == 0 else "train"
        if number % 3 == 0:
            label = ("rain", "bell")[number % 2]
            return Clip(tasks=("sound",), label=label, sample_rate=SOUND_RATE, **shared)
        return Clip(tasks=("transcribe",), text=" ".join(words), language="English", **shared)

    source = Source(
        name="made", title="Made-up sounds", licence="CC0", attribution="none",
        read=lambda materials: [clip(number) for number in range(clips)],
    )  # fmt: skip
    started = time.perf_counter()
    build_corpus(folder, [source], CorpusSettings(), jobs=CORES)
    return time.perf_counter() - started


def work(config: Path) -> None:
    """Train with the parts timed, in this process; writes `timing.json` beside the metrics."""
    import mowe  # noqa: F401  before accelerate (decision 0002)
    from mowe.training.config import read_training_config
    from mowe.training.loop import train

    watch, settings = Stopwatch(), read_training_config(config)
    missing = attach(watch)
    watch.timed("rest", train)(settings)
    if int(os.environ.get("RANK", "0")) == 0:
        timing = {"parts": dict(watch.seconds), "missing": missing}
        (settings.output / "timing.json").write_text(json.dumps(timing), encoding="utf-8")


def measure(config: Path, output: Path, processes: int) -> dict[str, Any]:
    """One training in processes of its own, sharing the cores."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [*(launch if processes > 1 else []), "-m", "benchmarks.training", "--work"]
    threads = str(max(CORES // processes, 1))
    neighbours, started, before = Neighbours(()), time.perf_counter(), _children()
    place = {**os.environ, "OMP_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"}
    place["ACCELERATE_USE_CPU"] = "true"
    done = subprocess.run(
        [sys.executable, *command, str(config)], cwd=ROOT, env=place, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"the training failed:\n{done.stderr[-2000:]}")
    busy, elapsed = neighbours.cores(), time.perf_counter() - started
    others = None if busy is None else max(busy - (_children() - before) / elapsed, 0.0)
    lines = [one for _, one in read_jsonl(output / "metrics.jsonl", LogError)]
    timing = read_json(output / "timing.json", LogError)
    return summarise(lines, timing, processes) | {"others": others}


def _children() -> float:
    """CPU seconds of all processes of ours that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def summarise(
    lines: Sequence[Mapping[str, Any]], timing: Mapping[str, Any], processes: int
) -> dict[str, Any]:
    """Examples per second over all processes, shares of the time, peak memory of one process.

    `lines` are those of `metrics.jsonl`, `timing` is what `work` wrote.
    """
    steps = [one["seconds"] for one in lines if "seconds" in one and "loss" in one][WARM_UP:]
    parts = {name: timing["parts"].get(name, 0.0) for name in (*NAMES, "rest")}
    total = sum(parts.values()) or 1.0
    return {
        "processes": processes,
        "steps": len(steps),
        "examples_per_second": processes * BATCH / statistics.median(steps),
        "shares": {name: seconds / total for name, seconds in parts.items()},
        "seconds": total,
        "memory_mb": max((one.get("memory_mb", 0.0) for one in lines), default=0.0),
        "missing": timing["missing"],
    }


def run(clips: int, steps: int) -> dict[str, Any]:
    """Measure everything: a corpus, then features first computed, cached, and two processes."""
    about = describe()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        seconds = build(folder / "corpus", clips)
        variants = {}
        for name, processes in (("first run", 1), ("features cached", 1), ("two processes", 2)):
            manifest, features = folder / "corpus" / "manifest.jsonl", folder / "features"
            fields: dict[str, Any] = {"output": str(folder / name), "report": REPORT}
            fields |= {"data": {"manifest": str(manifest), "features": str(features)}}
            fields |= {"tuning": {"steps": steps, "batch": BATCH}}
            config = folder / f"{name}.json"
            config.write_text(json.dumps(SETTINGS | fields), encoding="utf-8")
            variants[name] = measure(config, folder / name, processes)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": about,
        "cores": CORES,
        "clips": clips,
        "corpus_hours_per_minute": clips * SECONDS / 3600 / (seconds / 60),
        "variants": variants,
    }


def markdown(result: Mapping[str, Any]) -> str:
    """The whole result as a page."""
    machine, variants = result["machine"], result["variants"]
    heads = ("", "examples/s", *(f"{name}, %" for name in (*NAMES, "rest")), "memory, MB")
    lines = [
        "# Speed of training",
        "",
        f"Measured {result['date']} with `python -m benchmarks.training` on "
        f"{machine['processor']}, {result['cores']} cores, Python {machine['python']}; load "
        f"before {machine['load']:.2f}. Preset mini, {result['clips']} made-up clips of "
        f"{SECONDS:g} s, batches of {BATCH}, no alignment stage.",
        "",
        f"Corpus: {result['corpus_hours_per_minute']:.2f} hours of sound a minute "
        "(resampled, stored as FLAC; real sources also fetch, decode and synthesise).",
        "",
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
    ]
    for name, one in variants.items():
        shares = (f"{100 * share:.0f}" for share in one["shares"].values())
        cells = (f"{one['examples_per_second']:.1f}", *shares, f"{one['memory_mb']:.0f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    one, two = (variants[name]["examples_per_second"] for name in list(variants)[1:3])
    lines += [
        "",
        f"- Two processes, half the cores each: {two / one:.2f} times the examples of one.",
        "- Shares are of the whole run, start-up and saving included. Memory: peak of a process.",
        "- Examples per second: median over steps; the first run computes features before them.",
    ]
    missing = sorted({door for one in variants.values() for door in one["missing"]})
    lines += [f"- Not timed, since it no longer exists: `{door}`." for door in missing]
    if not all(is_quiet(one["others"]) for one in variants.values()):
        lines.append("- **Other processes were busy meanwhile**: run again on an idle machine.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write both files, print the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=72)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    result = run(options.clips, options.steps)
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2) + "\n"
    (RESULTS / "training.json").write_text(text, encoding="utf-8")
    page = markdown(result)
    (RESULTS / "training.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
