"""The optional head that guesses how a voice feels, in a folder of its own beside a checkpoint.

Its training recordings may not be used commercially, so the checkpoint knows nothing of it, and it
is loaded only where a person asks for it. It hears the frames that a mixture fuses, and fits that
mixture alone.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mowe.errors import CheckpointError
from mowe.files import TENSORS, check_sums, read_json, write_json, write_sums
from mowe.hints.heads import UtteranceHeads

EMOTION = "emotion"  # the set of its labels, and the name of the hint
SURE = 0.4  # share from which a guess is told; of eight, so that most voices get one
# what decides about fused frames, of trained tensors
_FUSED = ("router.", "fusion.", "base_encoder.", "weak_encoders.")
_AGAIN = "copy the whole folder again"


def fused_sum(state: Mapping[str, Tensor]) -> str:
    """Sha256 of those trained tensors of a mixture that its fused frames depend on."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        if name.startswith(_FUSED):
            flat = tensor.detach().float().cpu().reshape(-1).contiguous()
            digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
            digest.update(flat.numpy().tobytes())
    return digest.hexdigest()


def write_emotion(folder: Path, head: UtteranceHeads, state: Mapping[str, Tensor]) -> None:
    """Write a head and which mixture it fits.

    Args:
        folder: New or existing.
        head: With the one set `EMOTION`.
        state: Trained tensors of the mixture whose frames it learnt from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: one.contiguous() for name, one in head.state_dict().items()}
    save_file(tensors, folder / TENSORS)
    about = {"labels": list(head.sets[EMOTION]), "fused_sha256": fused_sum(state)}
    write_json(folder / "config.json", about)
    write_sums(folder)


def read_emotion(folder: Path, fused_dim: int, state: Mapping[str, Tensor]) -> UtteranceHeads:
    """The head of a folder.

    Args:
        folder: From `write_emotion`.
        fused_dim: Width of the mixture's fused frames.
        state: Trained tensors of the mixture that it shall hear with.

    Raises:
        CheckpointError: If there is none, it changed, or it belongs to another mixture.
    """
    if not folder.is_dir():
        raise CheckpointError(f"there is no part that guesses feelings at {folder}; {_AGAIN}")
    check_sums(folder, CheckpointError)
    about = read_json(folder / "config.json", CheckpointError, _AGAIN)
    if about.get("fused_sha256") != fused_sum(state):
        raise CheckpointError(
            f"{folder.name} was trained on the frames of another mixture; take the one that came "
            "with this checkpoint, or train it again (python -m mowe.training.emotion)"
        )
    head = UtteranceHeads(fused_dim, {EMOTION: about.get("labels") or ()})
    try:
        head.load_state_dict(load_file(folder / TENSORS))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise CheckpointError(f"{folder.name}/{TENSORS} is damaged: {error}") from error
    return head.requires_grad_(False).eval()
