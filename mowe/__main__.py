"""`python -m mowe`: ask, transcribe, route, doctor."""

import argparse
import contextlib
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
    ManifestError: USAGE,
    QuestionError: USAGE,
    RecordsError: USAGE,
    WeightsError: BAD_WEIGHTS,
}


def main(
    arguments: Sequence[str] | None = None,
    *,
    assistant_factory: Callable[..., Any] | None = None,
) -> int:
    """Run one command.

    Args:
        arguments: The command line; None takes the program's own.
        assistant_factory: Stands in for `mowe.assistant.load_assistant`.

    Returns:
        The exit code; `python -m mowe --help` lists them.
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


def _run(options: argparse.Namespace, out: TextIO, factory: Callable[..., Any] | None) -> int:
    # imported here: they take torch along, and --help should not wait for it
    if options.command == "doctor":
        from mowe.cli.doctor import doctor

        return FINE if doctor(out, fetch=options.fetch) else BAD_WEIGHTS
    from mowe.audio import shared_pool

    shared_pool().warm()  # it starts while the rest is imported
    from mowe.cli.answers import ask
    from mowe.cli.desk import Desk
    from mowe.cli.routes import route
    from mowe.cli.transcripts import transcribe

    desk = Desk(options, out, factory)
    commands = {"ask": ask, "transcribe": transcribe, "route": route}
    try:
        commands[options.command](desk)
    finally:
        failed = desk.report_failures()
    return BAD_AUDIO if failed else FINE


def _silence(out: TextIO) -> None:
    """Send what is left in the buffer nowhere, or Python complains about it while it exits."""
    with contextlib.suppress(io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


if __name__ == "__main__":
    sys.exit(main())
