"""The data card: what the corpus holds, on what terms, and whom to thank."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from corpus.clips import Source
from corpus.lines import Line
from corpus.splits import SPLITS

HEAD = ("source", "split", "task", "lines", "hours", "files", "speakers")

ANSWERS_HEAD = ("task", "split", "lines", "labels", "most frequent label")
SPLITTING = (
    "No speaker, source recording or asked-for sentence is in two splits. Dev and test hold people "
    "and recordings that training never meets: whole speakers, games, folds or packages, drawn "
    "before anything is cut (`corpus/splits.py`); the test is scored once. A composed clip takes "
    "its parts from one split. Questions with yes and no are drawn in pairs, so that each word, "
    "digit or sound is answered yes as often as no."
)
TERMS = (
    "Every line names the licence of its clip; a composed clip carries the licences of all its "
    "parts, and is non-commercial if one of them is."
)


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
    files = {line["audio"] for line in lines} - {None}
    speakers = {line["speaker"] for line in lines} - {""}
    return str(len(lines)), f"{hours:.2f}", str(len(files)), str(len(speakers))


def file_hours(lines: Iterable[Line], split: str) -> float:
    """Hours of distinct audio in a split, each file counted once at its longest line."""
    longest: dict[str, float] = {}
    for line in lines:
        if line["split"] == split and line["audio"]:
            longest[line["audio"]] = max(longest.get(line["audio"], 0.0), line["duration"])
    return sum(longest.values()) / 3600


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = HEAD) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def answers(lines: Iterable[Line]) -> list[tuple[str, ...]]:
    """Of each task and split: lines, different labels, and the share of the most frequent one."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for line in lines:
        groups.setdefault((line["task"], line["split"]), Counter())[line["label"]] += 1
    rows: list[tuple[str, ...]] = []
    for (task, split), labels in sorted(groups.items()):
        label, most = labels.most_common(1)[0]
        free = set(labels) == {""}  # the answer is a text
        frequent = "" if free else f"{label} ({most / labels.total():.0%})"
        different = "" if free else str(len(labels))
        rows.append((task, split, str(labels.total()), different, frequent))
    return rows


def data_card(lines: Sequence[Line], sources: Sequence[Source], skipped: Mapping[str, str]) -> str:
    """The card as Markdown.

    Args:
        lines: The manifest.
        sources: Sources that were built.
        skipped: Sources that were not, with the reason.
    """
    parts = ["# Corpus", "", "Counts of manifest lines; hours count a clip once a line.", ""]
    parts += [table(counts(lines)), ""]
    parts += [f"Distinct audio: {file_hours(lines, s):.2f} h {s}." for s in SPLITS]
    parts += [
        "",
        "## Tasks",
        "",
        table(answers(lines), ANSWERS_HEAD),
        "",
        "## Splits",
        "",
        SPLITTING,
    ]
    restricted = [source.name for source in sources if is_non_commercial(source.licence)]
    parts += ["", "## Terms", "", f"Non-commercial: {', '.join(restricted) or 'nothing'}. {TERMS}"]
    parts += ["", "## Sources"]
    for source in sources:
        packages = ", ".join(package.title for package in source.packages) or "a folder you name"
        parts += ["", f"### {source.name}", "", f"{source.title}.", ""]
        parts += [f"- Licence: {source.licence}", f"- Attribution: {source.attribution}"]
        parts += [f"- From: {'other clips' if source.name == 'composed' else packages}"]
    if skipped:
        parts += ["", "## Left out", ""]
        parts += [f"- {name}: {reason}" for name, reason in skipped.items()]
    return "\n".join(parts) + "\n"


def is_non_commercial(licence: str) -> bool:
    """Whether a licence forbids commercial use."""
    return bool(re.search(r"\bNC\b|non-?commercial", licence, re.IGNORECASE))
