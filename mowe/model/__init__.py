"""The paper: base encoder, routers, weak encoders, fusion, adapter, language model with LoRA.

MoWE-Audio, arXiv 2409.06635. Whatever is ours rather than the paper's is handed in from outside:
nothing here knows of it.
"""

from mowe.model.mixture import (
    AudioBatch,
    BuildAdapter,
    Distort,
    Features,
    Heard,
    Losses,
    MoWEModel,
    ParameterCounts,
    count_parameters,
    make_batch,
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
