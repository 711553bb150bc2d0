"""The pages: one file per tab. The only home of Gradio besides `app.py`."""

from ui.pages import build_app, launch_settings, use_private_temp_dir

__all__ = ["build_app", "launch_settings", "use_private_temp_dir"]
