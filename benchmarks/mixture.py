"""Benchmark worker: this project's assistant, by the preset or checkpoint named as its argument."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.worker import CORES, Reply, serve, timed_stream
from mowe.presets import PRESETS
from mowe.shipped import CHECKPOINTS


def load() -> Callable[[dict[str, Any]], Reply]:
    """Load the assistant named on the command line."""
    import torch

    torch.set_num_threads(CORES)
    import mowe
    from mowe import RoutingControl, Sampling, Turn, load_audio

    name = sys.argv[1]
    # speed does not depend on weights, so presets without a checkpoint are measured too
    untrained = name in PRESETS and name not in CHECKPOINTS
    assistant = mowe.load(name, device="cpu", untrained=untrained)
    tokenizer = assistant.model.language_model.tokenizer

    def answer(request: dict[str, Any]) -> Reply:
        assistant.memory.let_go()  # every round listens
        started = time.perf_counter()
        recording = load_audio(Path(request["clip"]))
        timings: dict[str, float] = {}

        def pieces() -> Iterator[str]:
            said = ""
            for one in assistant.stream(
                [Turn("user", request["question"], (recording,))],
                sampling=Sampling(max_new_tokens=request["max_new_tokens"]),
                control=RoutingControl(no_weak=True) if request["no_weak"] else None,
            ):
                timings.update(one.timings)
                yield one.text[len(said) :]
                said = one.text

        return timed_stream(
            started,
            pieces(),
            hearing=lambda: timings["encoders"],
            count=lambda text: len(tokenizer(text).input_ids),
        )

    return answer


if __name__ == "__main__":
    serve(load)
