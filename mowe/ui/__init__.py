"""The page: a folder per tab, its layout and its handlers. Gradio's home beside `app.py`."""

from mowe.ui.ask.kept_audio import MAX_KEPT_BYTES
from mowe.ui.pages import build_app, launch_settings, use_private_temp_dir

__all__ = ["MAX_KEPT_BYTES", "build_app", "launch_settings", "use_private_temp_dir"]
