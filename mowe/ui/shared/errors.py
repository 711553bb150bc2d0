"""Our errors as the page shows them: one sentence, no traceback."""

import html
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from mowe.errors import MoweError


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn an error that a person can fix into a message on the page.

    Raises:
        gr.Error: For every `MoweError`, with its sentence.
    """
    try:
        yield
    except MoweError as error:
        # the page renders messages as HTML, and ours quote file names
        sentence = html.escape(str(error), quote=False)
        raise gr.Error(sentence, title="Not possible", print_exception=False) from error
