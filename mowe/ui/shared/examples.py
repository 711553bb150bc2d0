"""The shipped example clips: read from their list, and where they come from."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from mowe.shipped import EXAMPLES as FOLDER

LIST = "examples.json"


@dataclass(frozen=True)
class ExampleClip:
    """One clip with a question that suits it."""

    file: str  # name within the folder
    title: str
    question: str
    expected: str  # what is really in it
    licence: str
    attribution: str


def read_examples(folder: Path = FOLDER) -> list[ExampleClip]:
    """The clips that are there; none when the folder has no list.

    Args:
        folder: Holds the clips and `examples.json`, a list of objects with these fields.
    """
    path = folder / LIST
    if not path.exists():
        return []
    entries = json.loads(path.read_text(encoding="utf-8"))
    fields = ExampleClip.__dataclass_fields__
    examples = [
        ExampleClip(**{name: str(entry.get(name, "")) for name in fields}) for entry in entries
    ]
    return [example for example in examples if (folder / example.file).is_file()]


def copy_examples(examples: list[ExampleClip], folder: Path, to: Path) -> list[Path]:
    """Copy the clips to where the page may serve them from, so that nothing else has to be opened.

    Args:
        examples: What to copy.
        folder: Where the clips lie.
        to: Made when missing.

    Returns:
        One path per example.
    """
    to.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(folder / one.file, to / Path(one.file).name)) for one in examples]
