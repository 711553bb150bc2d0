"""Lets torchaudio's pure-Python parts load beside a CPU-only torch.

torchaudio 2.11's compiled extension links CUDA. Beside a CPU build of torch the import fails, and
with it transformers and peft, which import torchaudio when it is installed. Nothing here needs the
extension, so a stand-in for the one module that loads it is enough. Decision 0002.
"""

import importlib.metadata
import importlib.util
import sys
import types
from typing import Any


def install() -> None:
    """Put the stand-in in place where torchaudio is present and its extension cannot load."""
    if "torchaudio" in sys.modules or importlib.util.find_spec("torchaudio") is None:
        return
    if not importlib.metadata.version("torch").endswith("+cpu"):
        return
    stand_in = types.ModuleType("torchaudio._extension")
    stand_in.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        fail_if_no_align=_unchanged,
    )
    sys.modules["torchaudio._extension"] = stand_in


def _unchanged(function: Any) -> Any:
    return function
