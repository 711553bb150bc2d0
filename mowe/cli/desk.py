"""What the commands that listen share: the model, the recordings, and the list of bad ones."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from mowe.assistant import DEFAULT_CHECKPOINT, Answer, Assistant, load_assistant
from mowe.audio import AUDIO_SUFFIXES, AudioLimits, Recording, load_audio
from mowe.cli.interrupt import kept_interrupt
from mowe.cli.text import printable, tell
from mowe.errors import AudioError, CheckpointError, ConfigError, MoweError
from mowe.model.control import RoutingControl

AssistantFactory = Callable[[str], Assistant]  # takes a preset, a folder or a hub repo


class Desk:
    """One command's model and recordings.

    Args:
        options: The parsed command line.
        out: Where results go; everything else goes to standard error.
        factory: Makes the assistant; called once, when the first recording was decoded.
    """

    def __init__(
        self, options: argparse.Namespace, out: TextIO, factory: AssistantFactory | None
    ) -> None:
        self.options, self.out = options, out
        self.factory = factory or load_assistant
        self.failures: list[str] = []
        chosen = {"max_seconds": options.max_seconds, "max_bytes": options.max_bytes}
        self.limits = AudioLimits(**given(chosen))

    @cached_property
    def assistant(self) -> Assistant:
        """The model, loaded when it is first needed.

        Raises:
            CheckpointError: If there is no such checkpoint, or it cannot be used.
        """
        name = self.options.model or DEFAULT_CHECKPOINT
        try:
            return self.factory(name)
        except MoweError:
            raise
        except (OSError, ValueError) as error:  # what the hub's client says to a name or a network
            reason = str(error).splitlines()[0].rstrip(".")
            raise CheckpointError(
                f"{name} cannot be loaded ({reason});"
                " a preset, a checkpoint folder or a hub repo is needed"
            ) from error

    @cached_property
    def control(self) -> RoutingControl:
        """The routing that was asked for.

        Raises:
            ConfigError: If it names an encoder that the model does not have.
        """
        options, known = self.options, self.assistant.encoder_names
        unknown = [one for one in options.force_encoder + options.mask_encoder if one not in known]
        if unknown:
            raise ConfigError(
                f"no weak encoder is called {unknown[0]};"
                f" {self.assistant.preset} has {', '.join(known) or 'none'}"
            )
        return RoutingControl(
            force=tuple(options.force_encoder),
            mask=tuple(options.mask_encoder),
            dense=options.dense,
            no_weak=options.no_weak,
        )

    def for_each(
        self, paths: Iterable[Path], work: Callable[[Path, Recording, float], None]
    ) -> None:
        """Decode each file and work on it; one that cannot be used is remembered, not fatal.

        Args:
            paths: Files.
            work: Takes a path, its recording, and the seconds that decoding took.
        """
        with kept_interrupt() as interrupt:
            for path in paths:
                started = time.perf_counter()
                try:
                    with interrupt.held():
                        recording = load_audio(path, limits=self.limits)
                    work(path, recording, time.perf_counter() - started)
                except AudioError as error:
                    self.fail(path, error)

    def fail(self, path: Path, error: AudioError) -> None:
        """Remember why `path` cannot be used."""
        where = "" if str(path) == path.name else f" [{printable(str(path))}]"
        self.failures.append(f"{error}{where}")

    def report_failures(self) -> bool:
        """Say on standard error which recordings could not be used; False when all could."""
        if self.failures:
            count = len(self.failures)
            what = "1 recording" if count == 1 else f"{count} recordings"
            tell(f"{what} could not be used:")
            for failure in self.failures:
                tell(f"  {failure}")
        return bool(self.failures)

    def find_files(self, paths: Iterable[Path]) -> list[Path]:
        """The files among `paths`, and the audio files inside its folders sorted by path.

        Hidden files are left out, and files with other endings too, which is told. A folder without
        any audio file is remembered as a failure.
        """
        files: list[Path] = []
        for path in paths:
            if not _is_folder(path):
                files.append(path)
                continue
            inside = [
                one
                for one in sorted(path.rglob("*"))
                if not one.name.startswith(".") and not _is_folder(one)
            ]
            audio = [one for one in inside if one.suffix.lower() in AUDIO_SUFFIXES]
            if not audio:
                endings = ", ".join(sorted(AUDIO_SUFFIXES))
                self.fail(path, AudioError(f"{path.name} has no file ending in {endings}."))
            elif others := len(inside) - len(audio):
                what = "1 file with another ending" if others == 1 else f"{others} files with other"
                tell(f"{printable(path.name)}: {what}{' endings' if others > 1 else ''} left out")
            files += audio
        return files


def with_decoding(answer: Answer, decode_seconds: float) -> dict[str, float]:
    """An answer's timings, counted from the file rather than from the decoded recording."""
    timings = answer.timings | {"decode": decode_seconds}
    timings["total"] = timings.get("total", 0.0) + decode_seconds
    return timings


def progress(paths: list[Path]) -> "tqdm[Path]":
    """The same paths behind a bar on standard error."""
    return tqdm(paths, desc="listening", unit="file", file=sys.stderr)


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were typed; the others keep the default of whatever takes them."""
    return {name: value for name, value in options.items() if value is not None}


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no permission to look: opening it will say so
        return False
