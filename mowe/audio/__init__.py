"""The audio room: any recording in, checked mono samples out, with an account of what was done."""

from mowe.audio.limits import AudioLimits
from mowe.audio.loading import AUDIO_SUFFIXES, load_audio
from mowe.audio.recording import Recording, Treatment
from mowe.audio.signals import SAMPLE_RATE, log_mel

__all__ = [
    "AUDIO_SUFFIXES",
    "SAMPLE_RATE",
    "AudioLimits",
    "Recording",
    "Treatment",
    "load_audio",
    "log_mel",
]
