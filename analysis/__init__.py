"""Tables in, numbers and Plotly figures out; knows nothing of pages."""

from mowe.analysis.records import Records, read_records
from mowe.analysis.routing.specialization import (
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
    "read_records",
    "router_agreement",
    "specialization",
    "usage",
]
