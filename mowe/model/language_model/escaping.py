"""The marks around a recording in a prompt, and what is said in it as data between them."""

import re
import unicodedata
from collections.abc import Iterable

AUDIO_MARK = "\ue000"  # private-use character: where a recording goes in a message
AUDIO_START, AUDIO_END = "<speech>", "</speech>\n"  # as in the authors' published prompt
# Unicode categories: control characters, private use, lone surrogates, line and paragraph ends.
_NO_TEXT = ("Cc", "Co", "Cs", "Zl", "Zp")


def escaped(text: str, control: Iterable[str]) -> str:
    """What a recording says, so that nothing in it opens or ends a part of a prompt.

    A recording may speak any text. Control tokens and the marks around a recording, in either case,
    become spaces, and so does every character that is no text; spaces in a row become one.

    Args:
        text: What is said.
        control: The tokenizer's control tokens.
    """
    plain = "".join(" " if unicodedata.category(sign) in _NO_TEXT else sign for sign in text)
    # The longest first: of `<a>` and `<a>>` the latter would leave a part.
    names = sorted([*control, AUDIO_START, AUDIO_END.strip()], key=len, reverse=True)
    pattern = "|".join(map(re.escape, names))
    return " ".join(re.sub(pattern, " ", plain, flags=re.IGNORECASE).split())
