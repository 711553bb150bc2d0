"""Pretrained weights: pinned packages, hub models and local folders, checked before use."""

from mowe.weights.catalogue import COMPONENTS, Component
from mowe.weights.sources import fingerprint, resolve
from mowe.weights.store import ComponentStatus, cache_dir, ensure, status

__all__ = [
    "COMPONENTS",
    "Component",
    "ComponentStatus",
    "cache_dir",
    "ensure",
    "fingerprint",
    "resolve",
    "status",
]
