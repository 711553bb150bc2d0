"""Charts and the tables that say the same, one file per kind of question."""

from analysis.figures.answer import (
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
from analysis.figures.pool import (
    SHARE_COLUMNS,
    finding,
    share_rows,
    specialization_heatmap,
    usage_chart,
)

__all__ = [
    "HEARD_COLUMNS",
    "ROUTERS",
    "ROUTING_COLUMNS",
    "SHARE_COLUMNS",
    "Heard",
    "encoder_names",
    "finding",
    "hear",
    "heard_figure",
    "heard_rows",
    "router_chart",
    "routing_rows",
    "share_rows",
    "specialization_heatmap",
    "usage_chart",
]
