"""One page about one records file, with everything it needs inside."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from mowe.analysis.records import Records
from mowe.analysis.routing import specialization_figures as figures
from mowe.analysis.routing.specialization import (
    effective_encoders,
    router_agreement,
    specialization,
    usage,
)
from mowe.errors import RecordsError

LABELS = ("task", "dataset", "language", "speaker")
STYLE = """
body{max-width:960px;margin:2rem auto;padding:0 1rem;font:16px/1.5 system-ui,sans-serif;
color:#1d2330;background:#fff}
table{border-collapse:collapse;width:100%;font-size:.85rem}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8884}
details{margin:.5rem 0 2rem}
@media(prefers-color-scheme:dark){body{color:#dfe3ec;background:#14171d}}
"""


def report(records: Records, name: str) -> str:
    """The page as HTML text; it asks no network for anything.

    Args:
        records: From `read_records`.
        name: Of the file, for the heading.

    Raises:
        RecordsError: If the mixture has no router.
    """
    if not records.encoders:
        raise RecordsError(f"{records.preset} has no router, so there is nothing to report")
    table, effective = usage(records), effective_encoders(records)
    columns = list(table.columns)
    rows = [[_number(row[column]) for column in columns] for _, row in table.iterrows()]
    parts = [
        f"<h1>Routing in {html.escape(name)}</h1>",
        f"<p>{_summary(records)}</p>",
        "<h2>Who is used</h2>",
        "<p>Bars that are alike in height mean that the pool shares the work; one tall bar is a"
        " collapse. The effective number is the exponential of the entropy of the shares.</p>",
        _figure(figures.usage_chart(table, effective)),
        _table(columns, rows),
    ]
    for by in (one for one in LABELS if records.table[one].nunique() > 1):
        found = specialization(records, by)
        parts += [
            f"<h2>By {html.escape(by)}</h2>",
            "<p>A row is a value, a column an encoder; dark rows with one bright field are"
            f" specialised. Intervals draw whole {found.unit}s.</p>",
            _figure(figures.specialization_heatmap(found)),
            _table(figures.SHARE_COLUMNS, figures.share_rows(found)),
        ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(name)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style><script>{get_plotlyjs()}</script>{''.join(parts)}</html>"
    )


def write_report(records: Records, name: str, out: Path) -> None:
    """Write `report` beside `out` and rename it."""
    partial = out.with_name(f".{out.name}.partial")
    partial.write_text(report(records, name), encoding="utf-8")
    partial.replace(out)


def _summary(records: Records) -> str:
    recordings = records.table["sha256"].nunique()
    text = f"{len(records)} windows of {recordings} recordings, mixture {records.preset}."
    if agreement := router_agreement(records):
        text += (
            f" Both routers prefer the same encoder in {agreement['share']:.0%} of the windows"
            f" (kappa {agreement['kappa']:.2f})."
        )
    return html.escape(text)


def _figure(figure: go.Figure) -> str:
    drawn: str = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True}
    )
    return drawn


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(str(one))}</th>" for one in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(one))}</td>" for one in row) + "</tr>"
        for row in rows
    )
    return f"<details><summary>As a table</summary><table><tr>{head}</tr>{body}</table></details>"


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
