"""Command line: `python -m mowe.training.corpus build --out DIR`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from mowe.training.corpus import SOURCES, CorpusError, Settings, build_corpus
from mowe.training.corpus.card import counts, file_hours, table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mowe.training.corpus")
    build = parser.add_subparsers(dest="command", required=True).add_parser(
        "build", help="fetch sources, write clips, manifest.jsonl and CORPUS.md"
    )
    build.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    build.add_argument("--source", nargs="+", choices=sorted(SOURCES), default=sorted(SOURCES))
    build.add_argument("--jobs", type=int, default=1, help="clips rendered at once")
    build.add_argument("--fsdd", type=Path, help="folder of the Free Spoken Digit Dataset")
    build.add_argument("--esc10", type=Path, help="folder of ESC-10")
    build.add_argument("--flite", default="flite", help="command of the flite synthesiser")
    build.add_argument("--hibari", default="hibari", help="command of the hibari synthesiser")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 is fine, 1 is a build that failed."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = Settings(
        fsdd=options.fsdd, esc10=options.esc10, flite=options.flite, hibari=options.hibari
    )
    sources = [SOURCES[name] for name in options.source]
    try:
        corpus = build_corpus(options.out, sources, settings, jobs=max(1, options.jobs))
    except (CorpusError, OSError) as error:
        print(f"the corpus was not built: {error}", file=sys.stderr)
        return 1
    print(table(counts(corpus.lines)))
    for split in ("train", "dev"):
        print(f"distinct audio, {split}: {file_hours(corpus.lines, split):.2f} h")
    for name, reason in corpus.skipped.items():
        print(f"left out: {name}: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
