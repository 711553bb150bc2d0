"""Command line: `python -m corpus build --out DIR`."""

import argparse
import errno
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from corpus import SOURCES, CorpusError, CorpusSettings, build_corpus
from corpus.card import counts, file_hours, table
from corpus.clips import SIZES
from corpus.sources import serves
from corpus.wording import ASKED, TASKS

FOLDERS = {
    "fsdd": "folder of the Free Spoken Digit Dataset",
    "esc10": "folder of ESC-10",
    "ravdess": "folder of RAVDESS speech (non-commercial)",
}
COMMANDS = {
    "flite": "command of the flite synthesiser",
    "hibari": "command of the hibari synthesiser",
    "festival": "command of festival that speaks a text into a file",
    "piper": "command of the piper synthesiser",
    "kokoro": "a Python that has kokoro-onnx",
    "espeak": "command of the espeak-ng synthesiser",
    "fluidsynth": "command of the fluidsynth renderer",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m corpus")
    build = parser.add_subparsers(dest="command", required=True).add_parser(
        "build", help="fetch sources, write clips, manifest.jsonl and CORPUS.md"
    )
    build.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    build.add_argument("--source", nargs="+", choices=sorted(SOURCES), help="only these sources")
    build.add_argument(
        "--task", nargs="+", choices=sorted((*TASKS, *ASKED)), default=[], help="only these tasks"
    )
    build.add_argument("--size", choices=SIZES, default="full", help="small is for trying out")
    jobs = os.cpu_count() or 1
    build.add_argument("--jobs", type=int, default=jobs, help="clips rendered at once")
    for name, text in FOLDERS.items():
        build.add_argument(f"--{name}", type=Path, help=text)
    for name, text in COMMANDS.items():
        build.add_argument(f"--{name}", default=getattr(CorpusSettings(), name), help=text)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 is fine, 1 is a build that failed."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)  # clips are rendered side by side; threads within one only wait
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = CorpusSettings(
        size=options.size, **{name: getattr(options, name) for name in (*FOLDERS, *COMMANDS)}
    )
    names = options.source or [name for name in SOURCES if serves(name, options.task)]
    sources = [SOURCES[name] for name in names]
    try:
        corpus = build_corpus(
            options.out, sources, settings, jobs=max(1, options.jobs), tasks=options.task
        )
    except (CorpusError, OSError) as error:
        print(f"the corpus was not built: {_reason(error)}", file=sys.stderr)
        return 1
    print(table(counts(corpus.lines)))
    for split in ("train", "dev"):
        print(f"distinct audio, {split}: {file_hours(corpus.lines, split):.2f} h")
    for name, reason in corpus.skipped.items():
        print(f"left out: {name}: {reason}")
    return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full; free some space and run it again, finished clips are kept"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
