"""A causal language model of transformers with LoRA, and the prompts it reads."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from mowe.config import LanguageModelConfig
from mowe.errors import ConfigError, WeightsError
from mowe.model.language_model.decoding import reply_ids
from mowe.model.language_model.escaping import AUDIO_END, AUDIO_MARK, AUDIO_START, escaped
from mowe.model.language_model.sampling import Sampler
from mowe.model.language_model.tokenizer import load_tokenizer, text_pieces
from mowe.model.tuning import add_lora, lora_state, merge_lora

AUDIO_ID = -1  # stands for one audio token in a prompt; never a row of the embedding
IGNORED = -100  # label of a position that is not learned, as everywhere in transformers


@dataclass(frozen=True)
class Message:
    """One turn of a chat; each `AUDIO_MARK` in `content` stands for the next recording window."""

    role: str  # "user" or "assistant"
    content: str


class Prompt(NamedTuple):
    """Token ids with `AUDIO_ID` placeholders, and the labels of the assistant's words."""

    ids: Tensor  # (tokens,) int64
    labels: Tensor  # (tokens,) int64, IGNORED outside the assistant's turns


class LanguageModel(nn.Module):
    """A causal language model with LoRA that reads text and audio tokens.

    Attributes:
        length_step: Tokens to whose multiple batches are padded: few different shapes spare the CPU
            kernels a rebuild at every step.
    """

    length_step = 32

    def __init__(self, config: LanguageModelConfig, folder: Path | None = None) -> None:
        """Build with random weights, or load what is in `folder`.

        Args:
            config: Source, sizes and LoRA settings.
            folder: A model in hub layout; None builds `config.architecture` with random weights.

        Raises:
            WeightsError: If the folder's weights do not fit its own config.
        """
        super().__init__()
        self.config = config
        self.tokenizer = load_tokenizer(folder)
        self.model = _load_model(config, folder, len(self.tokenizer))
        self.model.requires_grad_(False)
        if config.lora_rank:
            add_lora(
                self.model,
                config.lora_targets,
                rank=config.lora_rank,
                alpha=config.lora_alpha,
                dropout=config.lora_dropout,
            )
        self._folded = False
        self._words: dict[Any, Tensor] = {}

    @property
    def dim(self) -> int:
        """Width of a token embedding."""
        return int(self.embedding.embedding_dim)

    @property
    def context(self) -> int:
        """Most tokens of prompt and reply together."""
        return int(self.model.config.max_position_embeddings)

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """What the tokenizer takes for control wherever it stands in a text."""
        added = self.tokenizer.added_tokens_decoder.values()
        return tuple(token.content for token in added if token.special)

    @property
    def embedding(self) -> nn.Embedding:
        """The input embedding, `(vocabulary, dim)`."""
        table = self.model.get_input_embeddings()
        assert isinstance(table, nn.Embedding)
        return table

    def trained_state(self) -> dict[str, Tensor]:
        """The LoRA tensors by parameter name."""
        return lora_state(self)

    def fold(self) -> None:
        """Add LoRA into the weights for faster decoding; the model can no longer be trained."""
        if self._folded:
            return
        merge_lora(self)
        self._folded = True

    def prompt(
        self,
        messages: Sequence[Message],
        audio_lengths: Sequence[int],
        *,
        reply: bool,
        told: Sequence[tuple[str, ...]] = (),
    ) -> Prompt:
        """Render a chat to ids, labels only on the assistant's turns.

        Args:
            messages: The chat, oldest first.
            audio_lengths: Audio tokens of each mark, in order of appearance.
            reply: End with the opening of an assistant turn, for generation.
            told: Lines about each mark, in the same order; they stand behind the audio tokens, as
                data (`escaped`). Empty: nothing is told of any.

        Raises:
            ValueError: If the numbers of marks, of lengths and of what is told differ.
            ConfigError: If the chat template rewrites earlier turns.
        """
        marks = sum(message.content.count(AUDIO_MARK) for message in messages)
        if marks != len(audio_lengths):
            raise ValueError(
                f"{marks} places for audio in the chat, {len(audio_lengths)} recordings"
            )
        if len(told) not in (0, marks):
            raise ValueError(f"{marks} places for audio in the chat, {len(told)} are told of")
        audio = zip(audio_lengths, told or [()] * marks, strict=True)
        ids: list[int] = []
        labels: list[int] = []
        for text, learned in self._pieces(messages, reply):
            piece = self._ids(text, audio)
            ids += piece
            labels += piece if learned else [IGNORED] * len(piece)
        return Prompt(torch.tensor(ids), torch.tensor(labels))

    def _pieces(self, messages: Sequence[Message], reply: bool) -> Iterator[tuple[str, bool]]:
        """The rendered chat cut at turn borders, with whether the piece is to be learned."""
        chat = [{"role": "system", "content": self.config.system_prompt}]
        before = self._render(chat, bool(messages) and messages[0].role == "assistant")
        yield before, False
        for index, message in enumerate(messages):
            chat.append({"role": message.role, "content": self._clean(message.content)})
            last = index + 1 == len(messages)
            opens = reply if last else messages[index + 1].role == "assistant"
            now = self._render(chat, opens)
            if not now.startswith(before):
                raise ConfigError(
                    "this chat template rewrites earlier turns, labels would be wrong"
                )
            yield now[len(before) :], message.role == "assistant"
            before = now

    def _render(self, chat: list[dict[str, str]], opens_reply: bool) -> str:
        text: str = self.tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=opens_reply
        )
        return text

    def _clean(self, text: str) -> str:
        """User text without the tokenizer's control tokens, so that nobody can fake a turn."""
        for token in self.tokenizer.all_special_tokens:
            text = text.replace(token, " ")
        return text

    def _ids(self, text: str, audio: Iterator[tuple[int, tuple[str, ...]]]) -> list[int]:
        ids: list[int] = []
        for index, part in enumerate(text.split(AUDIO_MARK)):
            if index:
                length, lines = next(audio)
                told = "\n".join(escaped(line, self.control_tokens) for line in lines)
                ids += self.encode(AUDIO_START) + [AUDIO_ID] * length + self.encode(told)
                part = AUDIO_END + part
            ids += self.encode(part)
        return ids

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without any that open or end it."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    @torch.inference_mode(False)  # what is kept is used in training as well
    @torch.no_grad()
    def words(self, texts: Sequence[str]) -> Tensor:
        """Mean embedding of each text as it stands behind another, `(texts, dim)`, float32."""
        table = self.embedding
        key = tuple(texts), table.weight.device, table.weight.dtype
        if key not in self._words:
            self._words[key] = torch.stack([self._word(text) for text in texts])
        return self._words[key]

    def _word(self, text: str) -> Tensor:
        ids = torch.tensor(self.encode(f" {text}"), device=self.embedding.weight.device)
        return self.embedding(ids).float().mean(dim=0)

    def embed(self, ids: Tensor, audio: Tensor) -> Tensor:
        """Text embeddings with audio tokens in their places.

        Args:
            ids: `(batch, tokens)` with `AUDIO_ID` placeholders.
            audio: All audio tokens in reading order, `(audio_tokens, llm_dim)`.

        Returns:
            `(batch, tokens, llm_dim)` in the language model's dtype.

        Raises:
            ValueError: If placeholders and audio tokens differ in number.
        """
        places = ids == AUDIO_ID
        if int(places.sum()) != len(audio):
            raise ValueError(f"{int(places.sum())} audio placeholders, {len(audio)} audio tokens")
        embedded = self.embedding(ids.clamp_min(0))
        return embedded.masked_scatter(places.unsqueeze(-1), audio.to(embedded.dtype))

    def loss(self, prompts: Sequence[Prompt], audio: Sequence[Tensor]) -> Tensor:
        """Mean next-token cross-entropy over the assistant's words, in nats.

        The output layer runs on label positions only; 49,152 classes are a third of the cost.

        Args:
            prompts: One per example.
            audio: Audio tokens per example, `(audio_tokens, llm_dim)`.

        Raises:
            ValueError: If placeholders and audio tokens differ, or nothing is to be learned.
        """
        hidden, labels = self._label_states(prompts, audio)
        if not len(labels):
            raise ValueError("no assistant words to learn in this batch")
        logits = self.model.get_output_embeddings()(hidden)
        return F.cross_entropy(logits.float(), labels)

    def with_reply(self, prompt: Prompt, text: str) -> Prompt:
        """A prompt that ends where a reply begins, with these words as the reply to be scored."""
        words = torch.tensor(self.encode(text), dtype=torch.long)
        labels = torch.cat([torch.full_like(prompt.ids, IGNORED), words])
        return Prompt(torch.cat([prompt.ids, words]), labels)

    def log_likelihoods(self, prompts: Sequence[Prompt], audio: Sequence[Tensor]) -> Tensor:
        """Sum of the log-probabilities of each example's assistant words, in nats, `(batch,)`."""
        hidden, labels = self._label_states(prompts, audio)
        logits = self.model.get_output_embeddings()(hidden)
        scores = -F.cross_entropy(logits.float(), labels, reduction="none")
        counts = [int((prompt.labels[1:] != IGNORED).sum()) for prompt in prompts]
        return torch.stack([part.sum() for part in scores.split(counts)])

    def _label_states(
        self, prompts: Sequence[Prompt], audio: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        device = self.embedding.weight.device
        ids = self._pad([prompt.ids for prompt in prompts], 0).to(device)
        labels = self._pad([prompt.labels for prompt in prompts], IGNORED).to(device)
        real = self._pad([torch.ones_like(prompt.ids) for prompt in prompts], 0).to(device)
        states = self.states(self.embed(ids, torch.cat(list(audio)).to(device)), real)
        learned = labels[:, 1:] != IGNORED
        return states[:, :-1][learned], labels[:, 1:][learned]

    def _pad(self, rows: Sequence[Tensor], value: int) -> Tensor:
        """Rows `(tokens,)` as one batch, right-padded to a multiple of `length_step`."""
        padded = nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
        return F.pad(padded, (0, -padded.shape[1] % self.length_step), value=value)

    def states(self, embedded: Tensor, real: Tensor) -> Tensor:
        """Last hidden states `(batch, tokens, llm_dim)` of right-padded embeddings."""
        decoder = self.model.get_decoder()
        return decoder(inputs_embeds=embedded, attention_mask=real, use_cache=False)[0]

    @torch.inference_mode()
    def stream(
        self,
        prompt: Prompt,
        audio: Tensor,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        stop: threading.Event | None = None,
    ) -> Iterator[str]:
        """Generate the reply piece by piece.

        Closing the iterator, or setting `stop`, ends the decoding within one token; so does a reply
        that only repeats itself (`is_looping`).

        Args:
            prompt: From `prompt(..., reply=True)`.
            audio: `(audio_tokens, llm_dim)`.
            max_new_tokens: At most this many text tokens.
            temperature: 0 decodes greedily.
            top_p: Probability mass sampled from, in (0, 1].
            seed: Seed of the sampling.
            stop: Set it to end early.

        Raises:
            ValueError: If the prompt leaves no room for a reply, or `top_p` is outside (0, 1].
        """
        if len(prompt.ids) >= self.context:
            raise ValueError(
                f"the prompt has {len(prompt.ids)} tokens, a reply needs at most {self.context - 1}"
            )
        device = self.embedding.weight.device
        ids = reply_ids(
            self.model,
            self.embed(prompt.ids.to(device)[None], audio),
            Sampler(temperature, top_p, seed, device),
            room=min(max_new_tokens, self.context - len(prompt.ids)),
            ends=self._ends(),
            stop=stop or threading.Event(),
        )
        yield from text_pieces(self.tokenizer, ids)

    def _ends(self) -> set[int]:
        """Tokens that end a reply, by the tokenizer and by the model's own settings."""
        ends = self.model.generation_config.eos_token_id
        several = ends if isinstance(ends, list) else [ends]
        return {one for one in (self.tokenizer.eos_token_id, *several) if one is not None}


def _load_model(config: LanguageModelConfig, folder: Path | None, vocabulary: int) -> Any:
    if folder is None:
        sizes: Mapping[str, Any] = {"vocab_size": vocabulary, **config.architecture}
        architecture = dict(sizes)
        kind = architecture.pop("model_type")
        described = transformers.AutoConfig.for_model(kind, **architecture)
        return transformers.AutoModelForCausalLM.from_config(described)
    try:
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto", output_loading_info=True, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"the language model in {folder.name} cannot be read: {error}"
        ) from error
    wrong = {key: sorted(names) for key, names in report.items() if names}
    if wrong:
        raise WeightsError(f"the language model in {folder.name} does not fit its config: {wrong}")
    return model
