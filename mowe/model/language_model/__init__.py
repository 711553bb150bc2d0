"""The causal language model: prompts with audio tokens in, loss or a text stream out.

The door is narrow on purpose (prompt and audio tokens in, text pieces out), so that another decoder
can stand behind it. The only home of peft.
"""

from mowe.model.language_model.decoding import is_looping
from mowe.model.language_model.escaping import AUDIO_END, AUDIO_MARK, AUDIO_START, escaped
from mowe.model.language_model.model import AUDIO_ID, IGNORED, LanguageModel, Message, Prompt
from mowe.model.language_model.tokenizer import CHAT_TEMPLATE, byte_tokenizer, load_tokenizer

__all__ = [
    "AUDIO_END",
    "AUDIO_ID",
    "AUDIO_MARK",
    "AUDIO_START",
    "CHAT_TEMPLATE",
    "IGNORED",
    "LanguageModel",
    "Message",
    "Prompt",
    "byte_tokenizer",
    "escaped",
    "is_looping",
    "load_tokenizer",
]
