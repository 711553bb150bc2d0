"""A cascade: Whisper base writes down what is said, the untouched language model answers about it.

The same language model as the mixture's, without LoRA and without audio tokens; it reads the
transcript in the question. Questions for the transcript itself are left out: `transcribe` is that.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import torch

from mowe import weights
from mowe.assistant import Assistant
from mowe.data.ledger import Ledger, Row
from mowe.evaluation.asking import Question, conversation, describe, hear, kept_rows
from mowe.model.language_model import LanguageModel, Message

NAME = "cascade"
SAID = 'Somebody says: "{text}"\nAnswer in a few words: {question}'
SILENT = "Nobody says anything.\nAnswer in a few words: {question}"


def cascade_rows(assistant: Assistant, questions: Sequence[Question], ledger: Ledger) -> list[Row]:
    """Answers of the cascade, none where the mixture has no decoder.

    Args:
        assistant: Its decoder, and which language model it has.
        questions: What is asked.
        ledger: Where answers are kept; those in it are not asked again.

    Raises:
        WeightsError: If the language model cannot be fetched.
    """
    asked = [one for one in questions if not one.task.is_transcript]
    if assistant.model.hints.transcriber is None or not asked:
        return []
    device = assistant.model.device

    @cache  # not loaded where every answer is in the ledger
    def untouched() -> LanguageModel:
        config = replace(assistant.model.config.language_model, lora_rank=0)
        return LanguageModel(config, weights.resolve(config.source)).to(device).float().eval()

    def answer(question: Question) -> Row:
        recording = hear(question.example)
        text = assistant.transcribe(recording).text
        messages = [
            Message(turn.role, cascade_question(turn.text, text) if turn.recordings else turn.text)
            for turn in conversation(question.example, recording)
        ]
        language_model = untouched()
        nothing = torch.zeros(0, language_model.dim, device=device)
        prompt = language_model.prompt(messages, [], reply=True)
        pieces = language_model.stream(prompt, nothing, max_new_tokens=question.task.max_new_tokens)
        return {"answer": "".join(pieces).strip()}

    return list(kept_rows(asked, ledger, NAME, answer, describe))


def cascade_question(question: str, text: str) -> str:
    """What the language model is asked.

    Args:
        question: About the recording.
        text: What is said in it; empty where nothing is.
    """
    return SAID.format(text=text, question=question) if text else SILENT.format(question=question)
