"""Benchmark worker: this project's assistant, by the preset or checkpoint named as its argument."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.worker import CORES, Reply, serve, timed_stream


def load() -> Callable[[dict[str, Any]], Reply]:
    """Load the assistant named on the command line."""
    import torch

    torch.set_num_threads(CORES)
    from mowe.assistant import Sampling, Turn, load_assistant
    from mowe.audio import load_audio
    from mowe.model.control import RoutingControl

    assistant = load_assistant(sys.argv[1], device="cpu")
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
