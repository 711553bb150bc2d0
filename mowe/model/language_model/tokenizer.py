"""Tokenizers: of a folder in hub layout, and of single bytes for random models."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def load_tokenizer(folder: Path | None) -> Any:
    """The tokenizer in a hub-layout folder, or the byte tokenizer of random models."""
    if folder is not None:
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return byte_tokenizer()


def byte_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """A tokenizer of single bytes, for random models: needs no file and loses no text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={sign: i for i, sign in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        chat_template=CHAT_TEMPLATE,
    )


def text_pieces(tokenizer: Any, ids: Iterable[int]) -> Iterator[str]:
    """Text as its tokens come; together the pieces are what `tokenizer` makes of all of them.

    A letter whose bytes lie in several tokens comes when it is whole. Each token is decoded with
    those of the piece before it, since some tokenizers drop a space where a text begins.
    """

    def text_of(some: list[int]) -> str:
        text: str = tokenizer.decode(
            some, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    window: list[int] = []
    shown, begun = "", 0  # the window's text that was passed on, and how many tokens spell it
    for token in ids:
        window.append(token)
        text = text_of(window)
        if len(text) > len(shown) and not text.endswith("\ufffd"):
            yield text[len(shown) :]
            window = window[begun:]
            shown, begun = text_of(window), len(window)
    if rest := text_of(window)[len(shown) :]:
        yield rest
