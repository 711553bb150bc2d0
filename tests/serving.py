"""The real page on a free port of this machine, for tests that go through its door."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from mowe import ui

MAX_UPLOAD_BYTES = 2_000_000
EXAMPLES = (
    ("tone.wav", "A tone", "What sound is this?"),
    ("long.wav", "A long tone", "Describe the audio."),
)


def write_tone(path: Path, seconds: float, hertz: float = 440.0, rate: int = 16_000) -> Path:
    """A tone of level 0.25, as 16-bit wav."""
    times = np.arange(int(seconds * rate)) / rate
    samples = 0.25 * np.sqrt(2) * np.sin(2 * np.pi * hertz * times)
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def write_examples(folder: Path) -> Path:
    """A folder of example clips as the app ships one: 3 and 40 seconds of tones."""
    folder.mkdir(parents=True, exist_ok=True)
    for (file, _, _), seconds in zip(EXAMPLES, (3.0, 40.0), strict=True):
        write_tone(folder / file, seconds)
    entries = [
        {
            "file": file, "title": title, "question": question, "expected": "a tone",
            "licence": "CC0-1.0", "attribution": "made by the tests",
        }
        for file, title, question in EXAMPLES
    ]  # fmt: skip
    (folder / "examples.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder


@contextmanager
def serve(assistant, examples: Path, **folders: Path) -> Iterator[str]:
    """Serve the page for as long as the block lasts; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = ui.build_app(assistant, examples, **folders)
    settings = ui.launch_settings(MAX_UPLOAD_BYTES)
    app.launch(
        server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, **settings
    )
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        app.close(verbose=False)
