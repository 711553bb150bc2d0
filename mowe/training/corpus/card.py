"""The data card: what the corpus holds, on what terms, and whom to thank."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mowe.training.corpus.clips import Source

Line = Mapping[str, Any]
HEAD = ("source", "split", "task", "lines", "hours", "files", "speakers")


def counts(lines: Iterable[Line]) -> list[tuple[str, ...]]:
    """Lines, hours, files and speakers by source, split and task, with a total by split."""
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line["source"], line["split"], line["task"]), []).append(line)
        groups.setdefault(("all", line["split"], "all"), []).append(line)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0] == "all", item[0]))
    return [(*key, *_numbers(group)) for key, group in ordered]


def _numbers(lines: Sequence[Line]) -> tuple[str, ...]:
    hours = sum(line["duration"] for line in lines) / 3600
    files = {line["audio"] for line in lines}
    speakers = {line["speaker"] for line in lines} - {""}
    return str(len(lines)), f"{hours:.2f}", str(len(files)), str(len(speakers))


def file_hours(lines: Iterable[Line], split: str) -> float:
    """Hours of distinct audio in a split, each file counted once at its longest line."""
    longest: dict[str, float] = {}
    for line in lines:
        if line["split"] == split:
            longest[line["audio"]] = max(longest.get(line["audio"], 0.0), line["duration"])
    return sum(longest.values()) / 3600


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = HEAD) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def data_card(lines: Sequence[Line], sources: Sequence[Source], skipped: Mapping[str, str]) -> str:
    """The card as Markdown.

    Args:
        lines: The manifest.
        sources: Sources that were built.
        skipped: Sources that were not, with the reason.
    """
    parts = ["# Corpus", "", "Counts of manifest lines; hours count a clip once a line.", ""]
    parts += [table(counts(lines)), ""]
    parts += [f"Distinct audio: {file_hours(lines, s):.2f} h {s}." for s in ("train", "dev")]
    parts += ["", "No speaker, source recording or sentence is in two splits.", "", "## Sources"]
    for source in sources:
        packages = ", ".join(package.title for package in source.packages) or "a folder you name"
        parts += ["", f"### {source.name}", "", f"{source.title}.", ""]
        parts += [f"- Licence: {source.licence}", f"- Attribution: {source.attribution}"]
        parts += [f"- From: {packages}"]
    if skipped:
        parts += ["", "## Left out", ""]
        parts += [f"- {name}: {reason}" for name, reason in skipped.items()]
    return "\n".join(parts) + "\n"
