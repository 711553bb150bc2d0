"""What `mowe corpus` does: choose sources, build, and print what the corpus holds."""

import errno
import logging
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TextIO

import torch

from corpus import SOURCES, CorpusError, CorpusSettings, build_corpus
from corpus.card import counts, file_hours, table
from corpus.sources import serves
from corpus.splits import SPLITS
from corpus.wording import ASKED, TASKS
from mowe.errors import ConfigError


def build(options: Mapping[str, Any], out: TextIO) -> int:
    """Build a corpus; 1 if it could not be built, else 0.

    Args:
        options: Those that were typed, by name: `out`, `jobs`, `task`, `source`, and fields of
            `CorpusSettings`.
        out: Where the tables go.

    Raises:
        ConfigError: If there is no such source or task.
    """
    wanted, tasks = options.get("source", ()), options["task"]
    _check("source", wanted, SOURCES)
    _check("task", tasks, (*TASKS, *ASKED))
    torch.set_num_threads(1)  # clips are rendered side by side; threads within one only wait
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    fields = CorpusSettings.__dataclass_fields__
    settings = CorpusSettings(**{name: one for name, one in options.items() if name in fields})
    names = wanted or [name for name in SOURCES if serves(name, tasks)]
    sources = [SOURCES[name] for name in names]
    try:
        corpus = build_corpus(
            options["out"], sources, settings, jobs=max(1, options["jobs"]), tasks=tasks
        )
    except (CorpusError, OSError) as error:
        print(f"error: the corpus was not built: {_reason(error)}", file=sys.stderr)
        return 1
    print(table(counts(corpus.lines)), file=out)
    for split in SPLITS:
        print(f"distinct audio, {split}: {file_hours(corpus.lines, split):.2f} h", file=out)
    for name, reason in corpus.skipped.items():
        print(f"left out: {name}: {reason}", file=out)
    return 0


def _check(what: str, named: Iterable[str], known: Collection[str]) -> None:
    for name in named:
        if name not in known:
            raise ConfigError(f"no {what} is called {name}; there are {', '.join(sorted(known))}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full; free some space and run it again, finished clips are kept"
    return str(error)
