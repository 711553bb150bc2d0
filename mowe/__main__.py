"""The program `mowe`, also `python -m mowe`: runs a command; an error becomes one sentence."""

import argparse
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from mowe.cli.parser import build_parser
from mowe.errors import (
    AudioError,
    CheckpointError,
    ConfigError,
    ExperimentError,
    LogError,
    ManifestError,
    MoweError,
    QuestionError,
    RecordsError,
    WeightsError,
)

FINE, FAILED, USAGE, BAD_AUDIO, BAD_WEIGHTS, STOPPED = 0, 1, 2, 3, 4, 130
EXIT_CODES: dict[type[MoweError], int] = {
    AudioError: BAD_AUDIO,
    CheckpointError: BAD_WEIGHTS,
    ConfigError: USAGE,
    ExperimentError: USAGE,
    LogError: USAGE,
    ManifestError: USAGE,
    QuestionError: USAGE,
    RecordsError: USAGE,
    WeightsError: BAD_WEIGHTS,
}


def main(
    arguments: Sequence[str] | None = None,
    *,
    assistant_factory: Callable[[str], Any] | None = None,
) -> int:
    """Run one command.

    Args:
        arguments: The command line; None takes the program's own.
        assistant_factory: Stands in for `mowe.load`.

    Returns:
        The exit code; `mowe --help` lists them.
    """
    options = build_parser().parse_args(arguments)
    out = sys.stdout
    try:
        # whatever a library prints must not end up among the results
        with contextlib.redirect_stdout(sys.stderr):
            code = _run(options, out, assistant_factory)
        out.flush()
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CODES.get(type(error), FAILED)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # whoever read the results has gone, as `head` does
        _silence(out)
        return FAILED
    return code


def _run(options: argparse.Namespace, out: TextIO, factory: Callable[[str], Any] | None) -> int:
    from mowe.audio import shared_pool  # here: --help need not wait for it
    from mowe.cli.desk import Desk

    desk = Desk(options, out, factory)
    desk.check_inputs()
    if desk.failures and not desk.files:
        return BAD_AUDIO
    if desk.files:
        shared_pool().warm()  # it starts while the rest is imported
    try:
        # imported last: most commands take torch along
        module = f"mowe.cli.{options.command.replace('-', '_')}"
        code: int | None = importlib.import_module(module).run(desk)
    finally:
        desk.report_failures()
    return BAD_AUDIO if desk.failures else code or FINE


def _silence(out: TextIO) -> None:
    """Send what is left in the buffer nowhere, or Python complains about it while it exits."""
    with contextlib.suppress(io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


if __name__ == "__main__":
    sys.exit(main())
