"""How events are wired, the same on every tab."""

from typing import Any

KEPT_SECONDS = 3600  # what the server keeps for a visitor, after its last use
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
BUSY: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
# every call of the model waits in this one queue; a click right after Stop must not be lost, as it
# would be while Gradio still counts the stopped call as running
MODEL_QUEUE: dict[str, Any] = {
    "concurrency_id": "model", "concurrency_limit": 1, "trigger_mode": "multiple",
}  # fmt: skip
