"""What worker processes run in tests instead of the decoder: it behaves as the file's name says."""

import os
import signal

import numpy as np

from mowe.audio import decoding
from mowe.audio.decoding import Decoded


def misbehave(file, out, name, limits) -> Decoded:
    word = name.split(".")[0]
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "exit":
        os._exit(3)
    if word == "hang":
        signal.pause()
    if word == "eat":
        np.ones(700 * 2**20 // 8)  # 700 MiB; 512 are allowed
    if word == "bug":
        raise KeyError("no such frame")
    return decoding.decode(file, out, name, limits)
