"""Tables in, numbers and Plotly figures out; knows nothing of pages."""

from analysis import figures
from analysis.records import Records, read_records
from analysis.specialization import (
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
