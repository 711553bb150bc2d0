"""Files as every room reads and writes them: JSON, JSON lines, and the sums that tell damage.

A folder of ours (a checkpoint, a map) holds `sums.json`, the sha256 of every other file in it,
written last. A file that stands alone (records) has its sum beside it; one of many small ones (a
cached feature) ends with its own. Sums find damage, not forgery.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mowe.errors import MoweError

SUMS = "sums.json"
TENSORS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_DIGEST = 32  # bytes of a sha256
_PROSE = ".md"  # cards and credits are for people, who may edit them


def file_sha256(path: Path) -> str:
    """Sha256 of a file's content, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def replace_file(path: Path, content: bytes, writer: str = "") -> None:
    """Write a file whole or not at all, its folder with it; `writer` tells processes apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}{writer}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def between_marks(page: str, content: str, marks: tuple[str, str], error: type[MoweError]) -> str:
    """A page with `content` between its two marks.

    Raises:
        MoweError: Of the kind asked for, if the page lacks a mark.
    """
    begin, end = marks
    start, stop = page.find(begin), page.find(end)
    if not 0 <= start < stop:
        raise error(f"the page needs the marks {begin} and {end}, in this order")
    return f"{page[: start + len(begin)]}\n\n{content.strip()}\n\n{page[stop:]}"


def markdown_table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table, without a line end behind it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


# --- JSON ---------------------------------------------------------------------------------------


def read_json(path: Path, error: type[MoweError], fix: str = "") -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: The file.
        error: What to raise.
        fix: Ends the sentence with what to do.

    Raises:
        MoweError: Of the kind asked for, if the file cannot be read or holds no object.
    """
    return _object(_text(path, error, fix), f"{path.parent.name}/{path.name}", error, fix)


def read_jsonl(
    path: Path, error: type[MoweError], fix: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The object on every line that is not blank, each with the name of its place.

    Raises:
        MoweError: Of the kind asked for, if the file cannot be read or a line holds no object.
    """
    for number, line in enumerate(_text(path, error, fix).split("\n"), start=1):
        if line.strip():
            place = f"{path.name} line {number}"
            yield place, _object(line, place, error, fix)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object as people read it, whole or not at all."""
    replace_file(path, (json.dumps(content, indent=2) + "\n").encode())


def _text(path: Path, error: type[MoweError], fix: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as found:
        raise error(f"{path.name} cannot be read: {found.strerror}{_then(fix)}") from found
    except UnicodeDecodeError as found:
        raise error(f"{path.name} is not text in UTF-8{_then(fix)}") from found


def _object(text: str, place: str, error: type[MoweError], fix: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as found:
        reason = f"{found.msg} at character {found.pos + 1}"
        raise error(f"{place} is not JSON: {reason}{_then(fix)}") from found
    except (ValueError, RecursionError) as found:  # a number or a nesting beyond Python's limits
        raise error(f"{place} is not JSON that can be read: {found}{_then(fix)}") from found
    if not isinstance(content, dict):
        raise error(f"{place} must be an object, found {type(content).__name__}{_then(fix)}")
    return content


def _then(fix: str) -> str:
    return f"; {fix}" if fix else ""


# --- names --------------------------------------------------------------------------------------


def is_file_name(name: str) -> bool:
    """Whether a name can be a file's or a folder's, and leads nowhere else."""
    return bool(name.strip(". ")) and name.isprintable() and not {*name} & {*'/\\:*?"<>|'}


def tensor_files(folder: Path, error: type[MoweError], fix: str = "") -> list[Path]:
    """`model.safetensors`, or the shards that its index names.

    Raises:
        MoweError: Of the kind asked for, if one is missing or named outside the folder.
    """
    names = [TENSORS]
    if (folder / _INDEX).is_file() and not (folder / TENSORS).is_file():
        places = read_json(folder / _INDEX, error, fix).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(x, str) for x in places.values()):
            raise error(f"{_INDEX} of {folder.name} has no weight_map of file names{_then(fix)}")
        names = sorted(set(places.values()))
    for name in names:
        if not is_file_name(name):
            raise error(f"{_INDEX} of {folder.name} names {name!r}, which is no file's name")
        if not (folder / name).is_file():
            raise error(f"{folder.name} lacks {name}{_then(fix)}")
    return [folder / name for name in names]


# --- sums ---------------------------------------------------------------------------------------


def write_sums(folder: Path) -> None:
    """Put down the sha256 of every file in a folder; the last thing that is written there."""
    (folder / SUMS).unlink(missing_ok=True)
    write_json(folder / SUMS, {name: file_sha256(path) for name, path in _summed(folder).items()})


def check_sums(
    folder: Path, error: type[MoweError], fix: str = "copy the whole folder again"
) -> bool:
    """Refuse a folder whose files are not those that `write_sums` saw.

    Args:
        folder: The folder.
        error: What to raise.
        fix: Ends the sentence with what to do.

    Returns:
        Whether there are sums; a folder of an earlier version has none, and passes.

    Raises:
        MoweError: Of the kind asked for, naming the file that is missing, changed or too many.
    """
    if not (folder / SUMS).is_file():
        return False
    recorded, found = read_json(folder / SUMS, error, fix), _summed(folder)
    for name in sorted(recorded.keys() | found.keys()):
        if name not in found:
            raise error(f"{folder.name} lacks {name}, which its {SUMS} names; {fix}")
        if name not in recorded:
            raise error(f"{folder.name} holds {name}, unknown to its {SUMS}: take it out, or {fix}")
        if file_sha256(found[name]) != recorded[name]:
            raise error(f"{name} of {folder.name} changed since it was written; {fix}")
    return True


def _summed(folder: Path) -> dict[str, Path]:
    """Files by their place in a folder; hidden ones, prose and the sums themselves left out."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): path
        for name, path in sorted(files.items())
        if name.suffix != _PROSE
        and name.as_posix() != SUMS
        and not any(part.startswith(".") for part in name.parts)
    }


def sum_file(path: Path) -> Path:
    """Where the sum of a file that stands alone lies."""
    return path.with_name(f"{path.name}.sha256")


def write_sum(path: Path) -> None:
    """Put a file's sha256 beside it, as `sha256sum --check` reads it."""
    replace_file(sum_file(path), f"{file_sha256(path)}  {path.name}\n".encode())


def check_sum(path: Path, error: type[MoweError]) -> None:
    """Refuse a file that is not the one whose sum lies beside it; one without a sum passes.

    Raises:
        MoweError: Of the kind asked for.
    """
    beside = sum_file(path)
    if not (beside.is_file() and path.is_file()):
        return
    if _text(beside, error, "").split()[:1] != [file_sha256(path)]:
        raise error(
            f"{path.name} is not the file that {beside.name} was written for; copy both again, or "
            f"delete {beside.name} if you changed it yourself"
        )


def write_sealed(path: Path, content: bytes) -> None:
    """Write a small file that ends with its own sum; several processes may write the same."""
    replace_file(path, content + hashlib.sha256(content).digest(), f".{os.getpid()}")


def read_sealed(path: Path) -> bytes | None:
    """What `write_sealed` was given; None if there is no such file, or it changed since."""
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        return None
    content, digest = whole[:-_DIGEST], whole[-_DIGEST:]
    return content if hashlib.sha256(content).digest() == digest else None
