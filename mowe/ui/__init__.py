"""The pages: one file per tab. The only home of Gradio besides `app.py`."""

from mowe.ui.kept_audio import MAX_KEPT_BYTES
from mowe.ui.pages import build_app, launch_settings, use_private_temp_dir

__all__ = ["MAX_KEPT_BYTES", "build_app", "launch_settings", "use_private_temp_dir"]
