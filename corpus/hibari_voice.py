"""Run by the Python that has hibari-tts: reads one JSON job a line, writes one wav file each.

A job holds `text`, `path`, `speed` (factor, 1 is the voice's own) and `seed`.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    """Speak every job of standard input."""
    from hibari import Hibari

    voice = Hibari()
    for line in sys.stdin:
        job = json.loads(line)
        partial = Path(job["path"] + ".partial")
        voice.save(job["text"], str(partial), job["speed"], job["seed"])
        partial.replace(job["path"])


if __name__ == "__main__":
    main()
