"""The paper: base encoder, routers, weak encoders, fusion, adapter, language model with LoRA.

MoWE-Audio, arXiv 2409.06635. Whatever is ours rather than the paper's is handed in from outside:
nothing here knows of it.
"""

from mowe.model.batches import AudioBatch, Features, Heard, Losses, make_batch
from mowe.model.mixture import (
    BuildAdapter,
    Distort,
    MoWEModel,
    ParameterCounts,
    count_parameters,
)

__all__ = [
    "AudioBatch",
    "BuildAdapter",
    "Distort",
    "Features",
    "Heard",
    "Losses",
    "MoWEModel",
    "ParameterCounts",
    "count_parameters",
    "make_batch",
]
