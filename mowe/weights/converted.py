"""What a conversion gives: named tensors in half precision, and texts beside them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mowe.errors import WeightsError

HALF_MAX = 65_504.0  # largest float16


class Converted(NamedTuple):
    """What is written to a component's folder."""

    tensors: dict[str, Tensor]
    texts: dict[str, str]  # file name -> content


def as_half(
    tensors: Mapping[str, np.ndarray] | Mapping[str, Tensor], keep: Sequence[str] = ()
) -> dict[str, Tensor]:
    """The tensors in float16; whole numbers, and those named in `keep`, stay as they are.

    Raises:
        WeightsError: If a value is not finite or too large for float16.
    """
    halves = {}
    for name, values in tensors.items():
        tensor = torch.tensor(values) if isinstance(values, np.ndarray) else values.detach()
        if tensor.is_floating_point() and name not in keep:
            if not bool((tensor.abs() <= HALF_MAX).all()):
                raise WeightsError(f"{name} holds a value that float16 cannot, above {HALF_MAX}")
            tensor = tensor.half()
        halves[name] = tensor.contiguous().clone()
    return halves


def as_json(content: Mapping[str, Any]) -> str:
    """The text of a JSON file that people may read."""
    return json.dumps(content, indent=2) + "\n"
