"""Tables in, numbers and Plotly figures out; knows nothing of pages."""

from mowe.analysis import figures
from mowe.analysis.records import Records, read_records
from mowe.analysis.specialization import (
    Specialization,
    effective_encoders,
    router_agreement,
    specialization,
    usage,
)

__all__ = [
    "Records",
    "Specialization",
    "effective_encoders",
    "figures",
    "read_records",
    "router_agreement",
    "specialization",
    "usage",
]
