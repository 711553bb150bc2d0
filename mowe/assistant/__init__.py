"""The one seam that page, command line, API, evaluation and analysis use."""

from mowe.assistant.answer import Answer, Sampling, Turn, WindowRouting
from mowe.assistant.assistant import (
    DEFAULT_CHECKPOINT,
    SHIPPED,
    Assistant,
    load_assistant,
)
from mowe.assistant.memory import HeardMemory
from mowe.assistant.prompts import APART, SILENT, TOGETHER

__all__ = [
    "APART",
    "DEFAULT_CHECKPOINT",
    "SHIPPED",
    "SILENT",
    "TOGETHER",
    "Answer",
    "Assistant",
    "HeardMemory",
    "Sampling",
    "Turn",
    "WindowRouting",
    "load_assistant",
]
