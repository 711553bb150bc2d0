"""The one seam that page, command line, API, evaluation and analysis use."""

from mowe.assistant.answer import UNTRAINED, Answer, Sampling, Turn, WindowRouting
from mowe.assistant.assistant import Assistant
from mowe.assistant.loading import load
from mowe.assistant.memory import HeardMemory
from mowe.assistant.prompts import APART, SILENT, TOGETHER
from mowe.shipped import DEFAULT_CHECKPOINT

__all__ = [
    "APART",
    "DEFAULT_CHECKPOINT",
    "SILENT",
    "TOGETHER",
    "UNTRAINED",
    "Answer",
    "Assistant",
    "HeardMemory",
    "Sampling",
    "Turn",
    "WindowRouting",
    "load",
]
