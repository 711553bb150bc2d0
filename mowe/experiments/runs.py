"""Runs of arms: each is made once, written down at once, and shared by all experiments.

A run is an arm without its name, a seed, and the data; what was stopped goes on where it was.
"""

import dataclasses
import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from mowe import weights
from mowe.config import EncoderConfig
from mowe.data.ledger import Ledger
from mowe.data.origin import code_version
from mowe.errors import ExperimentError
from mowe.experiments import answers, fast
from mowe.experiments.arms import Arm
from mowe.experiments.bank import fill_bank
from mowe.experiments.labelled import FAST, Labelled, ProbeSuite, read_suite
from mowe.experiments.transcripts import fill_transcripts
from mowe.files import file_sha256
from mowe.model.language_model import LanguageModel
from mowe.presets import MINI

SCALES = ("fast", "lm")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the data of experiments lies; cheap to hand to another process."""

    manifest: Path
    folder: Path  # features and runs
    suite: ProbeSuite = FAST
    scale: str = "fast"  # or "lm", through the language model
    added: tuple[EncoderConfig, ...] = ()  # beside the encoders of `mini`

    def clips(self) -> list[Labelled]:
        """The clips of the suite; errors as `read_suite`."""
        return read_suite(self.manifest, self.suite)

    def data(self, arms: Sequence[Arm]) -> fast.Data:
        """Clips with what these arms need; errors as `fill_bank`."""
        clips, encoders = self.clips(), sorted({name for arm in arms for name in arm.pool})
        added = {one.name: one for one in self.added}
        bank = fill_bank(clips, encoders, self.folder / "features", added)
        data = fast.shared_data(clips, bank, _language_model(lora_rank=0))
        if all(arm.transcripts == "none" for arm in arms):
            return data
        return dataclasses.replace(data, said=fill_transcripts(clips, self.folder))

    def run(self, arm: Arm, seed: int, data: fast.Data) -> dict[str, Any]:
        """One run at this scale; errors as `fast.run`."""
        if self.scale == "fast":
            return fast.run(arm, seed, data)
        questions = {task.name: task.question for task in self.suite.tasks}
        return answers.run(arm, seed, data, _language_model(), questions)


@dataclass(frozen=True)
class Runs:
    """What was run, on disk."""

    place: Place
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        # the name of an added encoder says nothing of its weights
        added = {one.name: weights.fingerprint(one.source) for one in self.place.added}
        settings = {
            "manifest": file_sha256(self.place.manifest),
            "suite": dataclasses.asdict(self.place.suite),
            **({"added": added} if added else {}),
        }
        name = "-".join([self.place.scale, *sorted(added)])
        ledger = Ledger(self.place.folder / f"{name}.jsonl", settings)
        object.__setattr__(self, "ledger", ledger)

    def find(self, arm: Arm, seed: int) -> dict[str, Any] | None:
        """A run that has been made."""
        return self.ledger.find(fingerprint(arm), str(seed))

    def make(self, arms: Sequence[Arm], seeds: int, jobs: int = 1) -> None:
        """Make what is missing; each run is written down when it is done.

        Args:
            arms: The arms.
            seeds: Of each, from 0 on.
            jobs: Processes side by side, of one thread each.

        Raises:
            ExperimentError: If an arm cannot be trained; what was made is kept.
        """
        wanted = {(fingerprint(arm), seed): (arm, seed) for seed in range(seeds) for arm in arms}
        missing = [pair for pair in wanted.values() if self.find(*pair) is None]
        if not missing:
            return
        needed = [arm for arm, _ in missing]
        if jobs > 1:
            self.place.data(needed)  # made once, not by each
        code = code_version()
        with tqdm(total=len(missing), desc="arms", mininterval=5) as bar:
            for arm, seed, found in _made(self.place, needed, missing, jobs):
                self.ledger.add(fingerprint(arm), {"id": str(seed), "code": code, **found})
                bar.update()


def fingerprint(arm: Arm) -> str:
    """What an arm does, whatever it is called."""
    plain = dataclasses.asdict(arm)
    del plain["name"]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _made(
    place: Place, arms: Sequence[Arm], pairs: Sequence[tuple[Arm, int]], jobs: int
) -> Iterator[tuple[Arm, int, dict[str, Any]]]:
    if jobs < 1:
        raise ExperimentError(f"jobs must be 1 or more, found {jobs}")
    if jobs == 1:
        data = place.data(arms)
        for arm, seed in pairs:
            yield arm, seed, place.run(arm, seed, data)
        return
    context = multiprocessing.get_context("spawn")  # a fork of torch's threads may hang
    with ProcessPoolExecutor(jobs, context, _begin, (place, arms)) as pool:
        try:
            for (arm, seed), found in zip(pairs, pool.map(_run, pairs), strict=True):
                yield arm, seed, found
        except BaseException:  # the rest would be made for nobody
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _language_model(**changes: Any) -> LanguageModel:
    """That of `mini`, with new LoRA, in float32."""
    config = dataclasses.replace(MINI.language_model, **changes)
    model = LanguageModel(config, weights.resolve(config.source)).float()
    model.length_step = 8  # prompts have about 15 tokens
    return model


_GRID: list[tuple[Place, fast.Data]] = []  # of a worker process, which serves one grid


def _begin(place: Place, arms: Sequence[Arm]) -> None:
    torch.set_num_threads(1)
    _GRID.append((place, place.data(arms)))


def _run(pair: tuple[Arm, int]) -> dict[str, Any]:
    place, data = _GRID[0]
    return place.run(*pair, data)
