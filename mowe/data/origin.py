"""What made a result: the commit of the code, and the machine."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

_ROOT = Path(__file__).parents[2]


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
