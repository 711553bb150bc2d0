"""What a score depends on beside the code: the checkpoint, and versions of what scores."""

import hashlib
import json
from importlib.metadata import version

import torch

from mowe import weights
from mowe.assistant import Assistant
from mowe.assistant.answer import versions
from mowe.checkpoint import sources
from mowe.config import to_dict

PACKAGES = ("jiwer", "nltk", "numpy", "scikit-learn", "tokenizers")


def fingerprint(assistant: Assistant) -> str:
    """Sha256 over a checkpoint's config, its components' fingerprints and its trained tensors."""
    model = assistant.model
    digest = hashlib.sha256(json.dumps(to_dict(model.config), sort_keys=True).encode())
    for source in sources(model.config):
        digest.update(f"{source} {weights.fingerprint(source)}\n".encode())
    for name, tensor in sorted(model.trained_state().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        flat = tensor.detach().cpu().reshape(-1).contiguous()
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def all_versions() -> dict[str, str]:
    """Versions of what answers and scores depend on."""
    return versions() | {name: version(name) for name in PACKAGES}
