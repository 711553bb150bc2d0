"""The app's entry, here and on a Space: load the assistant, build the page, serve it.

Settings come from the environment: `MOWE_MODEL` (a checkpoint's name, folder or hub repository),
`MOWE_UNTRAINED=1` (`MOWE_MODEL` is a preset, whose trained part is random),
`MOWE_RECORDINGS` (a folder whose sounds the Map tab may play, for records of one's own),
`MOWE_KEPT_AUDIO_MB` (megabytes of audio that all visitors' conversations keep together, 512),
`GRADIO_SERVER_NAME` and `GRADIO_SERVER_PORT`.
"""

import os
import signal
import sys

from mowe import ui  # first: a Space that lends GPUs prepares itself before torch is used
from mowe.assistant import DEFAULT_CHECKPOINT, load
from mowe.shipped import EMOTION_PARTS


def main() -> None:
    """Serve until interrupted."""
    ui.use_private_temp_dir()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # leave as on Ctrl-C: files are removed
    untrained = os.environ.get("MOWE_UNTRAINED", "") not in ("", "0")
    name = os.environ.get("MOWE_MODEL") or DEFAULT_CHECKPOINT
    # loaded where it was put; a visitor still has to switch it on
    emotion = not untrained and name in EMOTION_PARTS and EMOTION_PARTS[name].is_dir()
    assistant = load(name, untrained=untrained, emotion=emotion)
    kept_mb = float(os.environ.get("MOWE_KEPT_AUDIO_MB") or ui.MAX_KEPT_BYTES / 1e6)
    app = ui.build_app(assistant, max_kept_bytes=round(kept_mb * 1e6))
    app.launch(**ui.launch_settings(assistant.limits.max_bytes))


if __name__ == "__main__":
    main()
