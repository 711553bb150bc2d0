"""The audio room: any recording in, checked mono samples out, with an account of what was done."""

from mowe.audio.files import check_recording, file_hash, open_recording
from mowe.audio.formats import AUDIO_SUFFIXES
from mowe.audio.limits import AudioLimits
from mowe.audio.loading import load_audio
from mowe.audio.pool import DecodingPool, shared_pool
from mowe.audio.recording import Recording, Treatment
from mowe.audio.signals import SAMPLE_RATE, log_mel

__all__ = [
    "AUDIO_SUFFIXES",
    "SAMPLE_RATE",
    "AudioLimits",
    "DecodingPool",
    "Recording",
    "Treatment",
    "check_recording",
    "file_hash",
    "load_audio",
    "log_mel",
    "open_recording",
    "shared_pool",
]
