"""Ctrl-C that no library can swallow."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Ctrl-C as it is pressed: raised at once, or kept for later while it is held."""

    def __init__(self) -> None:
        """Nothing was pressed yet."""
        self._pressed = threading.Event()
        self._held = False

    def press(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        self._pressed.set()
        self._raise_if_pressed()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raise only at the end of the block, whatever else it raises.

        An exception that is raised while C calls back into Python, as libsndfile does for every
        block it reads, is printed and forgotten.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._raise_if_pressed()

    def _raise_if_pressed(self) -> None:
        if self._pressed.is_set() and not self._held:
            raise KeyboardInterrupt


@contextmanager
def kept_interrupt() -> Iterator[Interrupt]:
    """Handle Ctrl-C in the block; only where the main thread runs it and Ctrl-C is not ignored."""
    interrupt, before = Interrupt(), signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield interrupt
        return
    signal.signal(signal.SIGINT, interrupt.press)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
