"""What the commands share: options, the model, recordings, and the list of bad ones.

Imports nothing of the model, so that files are looked at before it is loaded.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from mowe.audio import AUDIO_SUFFIXES, AudioLimits, Recording, check_recording, load_audio
from mowe.cli.interrupt import kept_interrupt
from mowe.cli.text import printable, tell
from mowe.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from mowe.assistant import Answer, Assistant
    from mowe.model.control import RoutingControl

MANIFEST = ".jsonl"


class Desk:
    """One command's options, model and recordings.

    Args:
        options: The parsed command line.
        out: Where results go; everything else goes to standard error.
        factory: Makes the assistant from a name, in place of `mowe.load`; called once, when the
            first recording was decoded.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        out: TextIO,
        factory: "Callable[[str], Assistant] | None" = None,
    ) -> None:
        self.options, self.out = options, out
        self.factory = factory
        self.files: list[Path] = list(options.files)  # those that may be usable, once checked
        self.failures: list[str] = []

    @cached_property
    def limits(self) -> AudioLimits:
        """Which recordings are accepted."""
        options = self.options
        chosen = {"max_seconds": options.max_seconds, "max_bytes": options.max_bytes}
        return AudioLimits(**given(chosen))

    @cached_property
    def assistant(self) -> "Assistant":
        """The model, loaded when it is first needed.

        Raises:
            MoweError: As `mowe.load` does.
        """
        options = self.options
        if self.factory:
            assistant = self.factory(options.model)
        else:
            from mowe.assistant import load

            emotion = getattr(options, "emotion", False)  # of commands that ask
            assistant = load(options.model, untrained=options.untrained, emotion=emotion)
        if assistant.notice:
            tell(f"note: {assistant.notice}")
        return assistant

    @property
    def hints(self) -> tuple[str, ...] | None:
        """What is to be told in text; None: all that can be."""
        options = self.options
        if options.hints is None or not options.emotion:
            return options.hints
        return (*options.hints, "emotion")

    @cached_property
    def control(self) -> "RoutingControl":
        """The routing that was asked for.

        Raises:
            ConfigError: If it names an encoder that the model does not have.
        """
        from mowe.model.control import RoutingControl

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

    def check_inputs(self) -> None:
        """Look at every file that was named, and say at once which cannot be used.

        Bad recordings leave `files`.

        Raises:
            ConfigError: If a file is missing that the whole command needs.
        """
        options = self.options
        needed = [(name, getattr(options, name)) for name in options.inputs]
        if options.walks:
            needed += [("manifest", path) for path in self.files if _is_manifest(path)]
        for name, path in needed:
            if path is not None and not path.exists():
                raise ConfigError(f"there is no {name} {path}; an existing one is needed")
        for path in list(self.files):
            if options.walks and (_is_manifest(path) or _is_folder(path)):
                continue
            try:
                check_recording(path, limits=self.limits)
            except AudioError as error:
                self.files.remove(path)
                self.fail(path, error)
                tell(f"error: {self.failures[-1]}")

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

    def report_failures(self) -> None:
        """Say on standard error which recordings could not be used."""
        if self.failures:
            count = len(self.failures)
            what = "1 recording" if count == 1 else f"{count} recordings"
            tell(f"{what} could not be used:")
            for failure in self.failures:
                tell(f"  {failure}")

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


def with_decoding(answer: "Answer", decode_seconds: float) -> dict[str, float]:
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


def _is_manifest(path: Path) -> bool:
    return path.suffix.lower() == MANIFEST


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # no permission to look: opening it will say so
        return False
