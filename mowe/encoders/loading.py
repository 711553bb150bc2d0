"""Strict reading of safetensors folders: every name is accounted for or the load is refused."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mowe.errors import WeightsError
from mowe.files import tensor_files

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def built_on_meta(build: Callable[[], ModuleT]) -> ModuleT:
    """Build a module without spending time or memory on values that a file will replace."""
    with torch.device("meta"):
        return build()


def read_tensors(
    folder: Path, prefixes: tuple[str, ...] = ("",), landmark: str = ""
) -> dict[str, Tensor]:
    """One part of a folder in hub layout, in one file or in shards, as it was stored.

    Args:
        folder: Holds `model.safetensors`, or shards and their index.
        prefixes: Where the wanted part may live, most specific first; "" is the whole checkpoint.
            The prefix is taken off the names; what lies elsewhere is not read.
        landmark: A tensor that the wanted part must have; "" takes the first prefix.

    Raises:
        WeightsError: If the folder holds no readable tensors, or no prefix leads to the landmark.
    """
    places = {key: path for path in _stored(folder) for key in _names(path)}
    for prefix in prefixes:
        if not landmark or prefix + landmark in places:
            wanted = {key: path for key, path in places.items() if key.startswith(prefix)}
            return {key.removeprefix(prefix): value for key, value in _values(wanted).items()}
    raise WeightsError(f"{folder} holds no {landmark!r} under any of {list(prefixes)}")


def _stored(folder: Path) -> list[Path]:
    return tensor_files(folder, WeightsError, "fetch the component again")


def _names(path: Path) -> list[str]:
    with _opened(path) as tensors:
        return list(tensors.keys())


def _values(places: Mapping[str, Path]) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    for path in sorted(set(places.values())):
        with _opened(path) as tensors:
            values |= {key: tensors.get_tensor(key) for key in places if places[key] == path}
    return values


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from error


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Fill a module (on the meta device or not) with exactly the tensors it names, as float32.

    Args:
        module: Whatever `tensors` belongs to; its own values are replaced, not copied into.
        tensors: Values by the module's own names; half precision is widened.
        what: The component's name, for the error message.

    Raises:
        WeightsError: If a name is missing or left over, or a shape differs; the message lists them.
    """
    wanted = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    problems = [
        *(f"missing {key}" for key in sorted(wanted.keys() - found.keys())),
        *(f"unexpected {key}" for key in sorted(found.keys() - wanted.keys())),
        *(
            f"{key} is {found[key]}, need {wanted[key]}"
            for key in sorted(wanted.keys() & found.keys())
            if wanted[key] != found[key]
        ),
    ]
    if problems:
        raise WeightsError(f"weights of {what} do not fit: {'; '.join(problems)}")
    module.load_state_dict(
        {
            key: value.float() if value.is_floating_point() else value
            for key, value in tensors.items()
        },
        assign=True,
    )
