"""What a result depends on: checkpoint, manifest, code, machine and versions."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mowe import weights
from mowe.assistant import Assistant
from mowe.assistant.answer import versions
from mowe.checkpoint import sources
from mowe.config import to_dict

PACKAGES = ("jiwer", "nltk", "numpy", "scikit-learn", "tokenizers")
_ROOT = Path(__file__).parents[2]


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


def code_version() -> dict[str, Any] | None:
    """The commit of the code and whether files differ from it; None outside a git checkout."""
    git = shutil.which("git")
    if git is None or not (_ROOT / ".git").exists():
        return None

    def run(*words: str) -> str:
        done = subprocess.run([git, "-C", str(_ROOT), *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = run("rev-parse", "HEAD")
    changed = run("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": bool(changed)} if commit else None


def machine() -> dict[str, Any]:
    """Processor, cores, threads and system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def all_versions() -> dict[str, str]:
    """Versions of what answers and scores depend on."""
    return versions() | {name: version(name) for name in PACKAGES}
