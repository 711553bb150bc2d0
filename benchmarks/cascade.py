"""Benchmark worker: faster-whisper writes the speech down, llama.cpp reads the transcript.

`python -m benchmarks.cascade FASTER_WHISPER_FOLDER GGUF_FILE`, in `.venv-bench`. Both run with the
settings that are fastest for them: greedy, the language given, the model in memory.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.worker import CORES, Reply, serve, timed_stream

CONTEXT = 2048  # tokens


def load() -> Callable[[dict[str, Any]], Reply]:
    """Load both models named on the command line."""
    from faster_whisper import WhisperModel
    from llama_cpp import Llama

    recogniser = WhisperModel(sys.argv[1], device="cpu", compute_type="int8", cpu_threads=CORES)
    writer = Llama(
        sys.argv[2], n_ctx=CONTEXT, n_threads=CORES, n_threads_batch=CORES, verbose=False
    )

    def answer(request: dict[str, Any]) -> Reply:
        started = time.perf_counter()
        segments, _ = recogniser.transcribe(request["clip"], language="en", beam_size=1)
        transcript = " ".join(segment.text.strip() for segment in segments)
        heard = time.perf_counter() - started
        writer.reset()  # else the prompt of the last repeat is still in its cache
        prompt = f'A recording says: "{transcript}"\n{request["question"]}'

        def pieces() -> Iterator[str]:
            for part in writer.create_chat_completion(
                [{"role": "user", "content": prompt}],
                max_tokens=request["max_new_tokens"],
                temperature=0.0,
                stream=True,
            ):
                yield part["choices"][0]["delta"].get("content") or ""

        return timed_stream(
            started,
            pieces(),
            hearing=lambda: heard,
            count=lambda text: len(writer.tokenize(text.encode(), add_bos=False)),
        )

    return answer


if __name__ == "__main__":
    serve(load)
