"""Charts and the tables that say the same, one file per kind of question."""

from mowe.analysis.figures.answer import (
    HEARD_COLUMNS,
    ROUTERS,
    ROUTING_COLUMNS,
    Heard,
    encoder_names,
    hear,
    heard_figure,
    heard_rows,
    router_chart,
    routing_rows,
)
from mowe.analysis.figures.comparison import comparison_chart, routing_timeline
from mowe.analysis.figures.embedding_map import map_figure
from mowe.analysis.figures.pool import (
    SHARE_COLUMNS,
    finding,
    share_rows,
    specialization_heatmap,
    usage_chart,
)
from mowe.analysis.figures.script import plotly_script
from mowe.analysis.figures.selection import SELECTION_COLUMNS, selection_chart, selection_rows

__all__ = [
    "HEARD_COLUMNS",
    "ROUTERS",
    "ROUTING_COLUMNS",
    "SELECTION_COLUMNS",
    "SHARE_COLUMNS",
    "Heard",
    "comparison_chart",
    "encoder_names",
    "finding",
    "hear",
    "heard_figure",
    "heard_rows",
    "map_figure",
    "plotly_script",
    "router_chart",
    "routing_rows",
    "routing_timeline",
    "selection_chart",
    "selection_rows",
    "share_rows",
    "specialization_heatmap",
    "usage_chart",
]
