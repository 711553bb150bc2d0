"""What happens on the Experiments tab: read the result files, show one, show an arm's routing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from mowe.analysis.experiments import figures
from mowe.errors import ExperimentError
from mowe.experiments.arms import PAPER
from mowe.experiments.judge import MARGIN
from mowe.experiments.pages import how_made
from mowe.experiments.result_files import (
    judged,
    read_folder,
    routing_sentence,
    verdict_sentence,
)
from mowe.experiments.results import FAILS, HOLDS
from mowe.ui.shared.errors import plain_errors

NO_RESULTS = """There are no results here. A checkout of the repository has them in
`results/experiments`; `mowe experiments run all --manifest built/corpus/manifest.jsonl` writes
them."""
_SYMBOLS = {HOLDS: "✓", FAILS: "✗"}
_UNDECIDED = "○"
LEGEND = f"{_SYMBOLS[HOLDS]} {HOLDS}; {_SYMBOLS[FAILS]} {FAILS}; {_UNDECIDED} undecided"


class Overview(NamedTuple):
    """What opening the tab fills: components when building, their values in handlers."""

    notice: Any
    everything: Any
    table: Any
    choice: Any


class Hearing(NamedTuple):
    """Who hears what in one arm."""

    routed: Any
    arm: Any
    said: Any
    chart: Any
    table: Any


class Shown(NamedTuple):
    """What an experiment fills."""

    verdict: Any
    forest: Any
    comparisons: Any
    chart: Any
    accuracy: Any
    made: Any
    hearing: Hearing


def overview_table(results: Sequence[Mapping[str, Any]]) -> str:
    """A row a claim, a column a scale, in Markdown."""
    scales = list(dict.fromkeys(map(_scale, results)))
    rows: dict[str, dict[str, str]] = {}
    for one in results:
        rows.setdefault(one["claim"], {})[_scale(one)] = _symbol(one)
    lines = [["Claim", *scales], ["---", *[":---:"] * len(scales)]]
    lines += [[claim, *(of.get(name, "") for name in scales)] for claim, of in rows.items()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{LEGEND}"


class ExperimentEvents:
    """The handlers of one page over one folder. They keep nothing between calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, chosen: str | None) -> tuple[Any, ...]:
        """`Overview` and what `show` fills, as the files are now; what was chosen stays so."""
        found, faults = read_folder(self.folder)
        told = [f"**Left out:** {fault}." for fault in faults]
        if not found:
            told.append(NO_RESULTS)
        choices = [(_name(one), name) for name, one in found.items()]
        value = chosen if chosen in found else next(iter(found), None)
        overview = Overview(
            gr.Markdown("\n\n".join(told), visible=bool(told)),
            gr.Column(visible=bool(found)),
            overview_table(list(found.values())),
            gr.Dropdown(choices=choices, value=value),
        )
        return (*overview, *self.show(value))

    def show(self, chosen: str | None) -> tuple[Any, ...]:
        """Everything about one experiment: `Shown`, its hearing spread out."""
        if chosen is None:
            return tuple(gr.skip() for _ in (*Shown._fields[:-1], *Hearing._fields))
        found = self._read(chosen)
        arms, comparisons = found["arms"], found["comparisons"]
        with plain_errors():
            said, by = verdict_sentence(found), judged(found)
        bold = [place for place, one in enumerate(comparisons) if one in by]
        forest = figures.forest_plot(
            comparisons, arms, margin=MARGIN, judged=bold if len(by) < len(comparisons) else ()
        )
        return (
            _words(found, said),
            gr.Plot(forest),
            gr.Dataframe(figures.comparison_rows(comparisons)),
            gr.Plot(figures.accuracy_heatmap(arms)),
            _table(figures.accuracy_columns(arms), figures.accuracy_rows(arms)),
            how_made(found),
            *_hearing(arms, PAPER.name),
        )

    def hear(self, chosen: str | None, arm: str | None) -> Hearing:
        """Who hears what in one arm."""
        if chosen is None or arm is None:
            return Hearing(*(gr.skip() for _ in Hearing._fields))
        return _hearing(self._read(chosen)["arms"], arm)

    def _read(self, chosen: str) -> Mapping[str, Any]:
        with plain_errors():
            found = read_folder(self.folder).found
            if chosen not in found:
                raise ExperimentError(f"{chosen} is no longer among the results; open the tab anew")
            return found[chosen]


def _hearing(arms: list[Mapping[str, Any]], wanted: str) -> Hearing:
    """Of the arm that is wanted, else of the first that has a data-dependent router."""
    routed = {arm["name"]: arm for arm in arms if arm.get("routing", {}).get("dependent")}
    if not routed:
        return Hearing(gr.Column(visible=False), gr.skip(), "", gr.Plot(None), gr.Dataframe([]))
    name = wanted if wanted in routed else next(iter(routed))
    shares = routed[name]["routing"]["dependent"]["shares"]
    return Hearing(
        gr.Column(visible=True),
        gr.Dropdown(choices=list(routed), value=name),
        routing_sentence(routed[name]),
        gr.Plot(figures.hearing_heatmap(shares)),
        _table(figures.hearing_columns(shares), figures.hearing_rows(shares)),
    )


def _table(columns: list[str], rows: list[list[Any]]) -> gr.Dataframe:
    """A table whose columns depend on what is shown."""
    return gr.Dataframe({"headers": columns, "data": rows})


def _words(found: Mapping[str, Any], said: str) -> str:
    lines = [f"### {found['claim']}", f"{_symbol(found)} {said}"]
    if found["published"]:
        lines.append(f"Published: {found['published']}. Not reproduced here.")
    return "\n\n".join(lines)


def _scale(found: Mapping[str, Any]) -> str:
    if found["split"] == "dev":
        return str(found["scale"])
    return "test" if found["scale"] == "fast" else f"{found['scale']} test"


def _name(found: Mapping[str, Any]) -> str:
    return f"{_scale(found)}: {found['experiment']}"


def _symbol(found: Mapping[str, Any]) -> str:
    return _SYMBOLS.get(found["verdict"], _UNDECIDED)
