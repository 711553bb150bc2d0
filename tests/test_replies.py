"""Replies token by token: the same as transformers decodes, drawn as asked, in whole letters."""

import itertools
import threading
from dataclasses import replace

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models
from transformers.generation.logits_process import TopPLogitsWarper

from mowe.model.language_model import AUDIO_MARK, LanguageModel, Message, byte_tokenizer, is_looping
from mowe.model.language_model.decoding import block_cache, reply_ids
from mowe.model.language_model.llama import plain_layers
from mowe.model.language_model.sampling import Sampler, nucleus
from mowe.model.language_model.tokenizer import text_pieces
from mowe.presets import TINY_RANDOM

SIZES = {
    "vocab_size": 99,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,  # so that the likeliest token leads by far
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": 0,
}
GROUPED = SIZES | {"num_key_value_heads": 2, "head_dim": 8}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 5e5,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
MODELS = {
    "llama": transformers.LlamaConfig(**GROUPED),
    "llama 3": transformers.LlamaConfig(**GROUPED | {"head_dim": 16}, rope_parameters=LLAMA3_ROPE),
    "llama tied": transformers.LlamaConfig(**SIZES, tie_word_embeddings=True),
    "llama with biases": transformers.LlamaConfig(**GROUPED, attention_bias=True),
    "qwen 3": transformers.Qwen3Config(**GROUPED),
    "gpt-neox": transformers.GPTNeoXConfig(**SIZES),
    "mistral, window of 8": transformers.MistralConfig(**GROUPED, sliding_window=8),
    "gemma 2": transformers.Gemma2Config(**GROUPED, sliding_window=8, query_pre_attn_scalar=8),
}
LEAN = {"llama", "llama 3", "llama tied"}


def model_of(name: str) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(MODELS[name]).eval()


def embedded(model, tokens: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(tokens)
    ids = torch.randint(0, 99, (1, tokens), generator=generator)
    return model.get_input_embeddings()(ids).detach()


def likeliest(logits: torch.Tensor) -> int:
    return int(logits.argmax())


def reply(model, prompt, pick=likeliest, room=30, ends=(), stop=None) -> list[int]:
    stop = stop or threading.Event()
    with torch.inference_mode():
        return list(reply_ids(model, prompt, pick, room=room, ends=ends, stop=stop))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("tokens", [1, 7, 40])
def test_greedy_replies_are_those_of_transformers(name, tokens):
    model = model_of(name)
    prompt = embedded(model, tokens)
    expected = model.generate(inputs_embeds=prompt, max_new_tokens=30, do_sample=False)[0].tolist()
    ids = reply(model, prompt)
    assert ids == expected[: len(ids)]
    assert len(ids) == 30 or is_looping(ids)


@pytest.mark.parametrize("name", MODELS)
def test_each_steps_logits_are_those_of_the_whole_text(name):
    model, seen = model_of(name), []
    prompt, said = embedded(model, 11), [5, 90, 3, 3, 41, 17, 60, 2, 88, 30]
    answers = iter(said)

    def pick(logits: torch.Tensor) -> int:
        seen.append(logits)
        return next(answers)

    assert reply(model, prompt, pick, room=len(said)) == said
    whole = torch.cat([prompt, model.get_input_embeddings()(torch.tensor([said]))], dim=1)
    with torch.no_grad():
        expected = model(inputs_embeds=whole).logits[0, 10:-1]
    torch.testing.assert_close(torch.stack(seen), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_only_llamas_of_plain_matrices_go_by_them(name):
    assert (plain_layers(model_of(name)) is not None) == (name in LEAN)


def test_bfloat16_differs_by_its_rounding_only():
    model, seen = model_of("llama 3").to(torch.bfloat16), []
    prompt, said = embedded(model, 11), [5, 90, 3, 41]
    answers = iter(said)

    def pick(logits: torch.Tensor) -> int:
        seen.append(logits)
        return next(answers)

    reply(model, prompt, pick, room=4)
    assert {one.dtype for one in seen} == {torch.bfloat16}
    whole = torch.cat([prompt, model.get_input_embeddings()(torch.tensor([said]))], dim=1)
    with torch.no_grad():
        expected = model.float()(inputs_embeds=whole.float()).logits[0, 10:-1]
    apart = (torch.stack(seen).float() - expected).abs().max()
    assert apart < 0.05 * expected.abs().max()


def test_the_matrices_are_the_models_own():
    model = model_of("llama")
    first, attention = plain_layers(model)[0], model.model.layers[0].self_attn
    assert first.query.data_ptr() == attention.q_proj.weight.data_ptr()
    assert first.value.data_ptr() == attention.v_proj.weight.data_ptr()


@pytest.mark.parametrize("name", ["llama", "gpt-neox"])
def test_memory_follows_the_reply_and_not_what_it_might_become(name, monkeypatch):
    monkeypatch.setattr("mowe.model.language_model.decoding._BLOCK", 8)
    caches = []

    def kept(config):
        caches.append(block_cache(config))
        return caches[0]

    monkeypatch.setattr("mowe.model.language_model.decoding.block_cache", kept)
    model, stop = model_of(name), threading.Event()
    with torch.inference_mode():
        ids = reply_ids(model, embedded(model, 13), likeliest, room=10**9, ends=(), stop=stop)
        rooms, places = [], set()
        for _ in itertools.islice(ids, 6):
            (layer, *_) = caches[0].layers
            rooms.append(layer.key_blocks.shape[2])
            places.add((layer.key_blocks.data_ptr(), layer.value_blocks.data_ptr()))
    assert rooms == [16, 16, 16, 16, 24, 24]  # 13, 14, 15, 16, 17 and 18 tokens are held
    assert len(places) == 2


def test_nothing_is_computed_ahead_of_its_reader():
    model, asked = model_of("llama"), []

    def pick(logits: torch.Tensor) -> int:
        asked.append(len(asked))
        return asked[-1]

    with torch.inference_mode():
        ids = reply_ids(model, embedded(model, 9), pick, room=20, ends=(), stop=threading.Event())
        assert list(itertools.islice(ids, 3)) == [0, 1, 2] == asked


def test_a_stop_in_between_ends_the_reply_there():
    model, stop = model_of("llama"), threading.Event()

    def pick(logits: torch.Tensor) -> int:
        stop.set()  # while the token is in work
        return 7

    assert reply(model, embedded(model, 9), pick, stop=stop) == [7]
    assert reply(model, embedded(model, 9), pick, stop=stop) == []  # stopped before it began


def test_tokens_that_end_are_no_part_of_a_reply():
    model, said = model_of("llama"), iter([5, 6, 7, 8])
    assert reply(model, embedded(model, 9), lambda _: next(said), ends={7}) == [5, 6]


def language_model(**sizes: int) -> LanguageModel:
    torch.manual_seed(0)
    config = TINY_RANDOM.language_model
    made = LanguageModel(replace(config, architecture={**config.architecture, **sizes})).eval()
    for name, parameter in made.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def asked(model: LanguageModel, **settings) -> str:
    prompt = model.prompt([Message("user", f"{AUDIO_MARK}What is said?")], [3], reply=True)
    audio = torch.randn(3, model.dim, generator=torch.Generator().manual_seed(0))
    return "".join(model.stream(prompt, audio, **settings))


def test_merging_lora_changes_the_way_and_not_the_reply():
    model = language_model()
    torch.nn.init.normal_(model.embedding.weight, std=0.5)
    assert plain_layers(model.model) is None
    before = asked(model, max_new_tokens=30, temperature=1.0)
    model.fold()
    assert plain_layers(model.model) is not None
    assert asked(model, max_new_tokens=30, temperature=1.0) == before
    assert len(before) > 10


@pytest.mark.parametrize("ends", [None, 40, [40], [39, 40]])
def test_the_tokenizers_end_and_the_models_own_both_end_a_reply(ends, monkeypatch):
    model = language_model()
    text = model.encode("So it ends.")
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", ends)

    def asked_with(token: int) -> str:
        said = itertools.chain(text, itertools.repeat(token))
        monkeypatch.setattr(Sampler, "__call__", lambda self, logits: next(said))
        return asked(model, max_new_tokens=12)

    assert asked_with(model.tokenizer.eos_token_id) == "So it ends."
    letter = model.tokenizer.decode([40])
    assert asked_with(40) == ("So it ends." if ends else f"So it ends.{letter}")


def test_prompt_and_reply_stay_within_the_context(monkeypatch):
    model = language_model(max_position_embeddings=200)
    prompt = model.prompt([Message("user", "What is said?")], [], reply=True)
    room, drawn = 200 - len(prompt.ids), itertools.count()

    def pick(self: Sampler, logits: torch.Tensor) -> int:
        return 10 + next(drawn) % 50

    monkeypatch.setattr(Sampler, "__call__", pick)
    pieces = list(model.stream(prompt, torch.zeros(0, model.dim), max_new_tokens=10**6))
    assert len(pieces) == room == next(drawn)
    long = model.prompt([Message("user", "?" * 200)], [], reply=True)
    with pytest.raises(ValueError, match=f"the prompt has {len(long.ids)} tokens, .* at most 199"):
        next(model.stream(long, torch.zeros(0, model.dim), max_new_tokens=1))


def test_inference_mode_ends_where_the_reader_goes_on():
    model = language_model()
    prompt = model.prompt([Message("user", "What is said?")], [], reply=True)
    pieces = model.stream(prompt, torch.zeros(0, model.dim), max_new_tokens=9, temperature=1.5)
    next(pieces)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    weight = torch.ones(1, requires_grad=True)
    (2 * weight).backward()
    next(pieces)
    pieces.close()
    assert list(pieces) == []
    assert not torch.is_inference_mode_enabled()


SHARES = torch.tensor([0.15, 0.5, 0.1, 0.25])


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.01, [1]), (0.5, [1]), (0.51, [1, 3]), (0.75, [1, 3]), (0.89, [0, 1, 3]), (1, range(4))],
)
def test_the_nucleus_is_the_smallest_set_that_has_the_probability(top_p, kept):
    left = torch.tensor([share if id in kept else 0 for id, share in enumerate(SHARES.tolist())])
    assert torch.equal(nucleus(SHARES, top_p), left)


@pytest.mark.parametrize("top_p", [0.05, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("spread", [0.01, 1.0, 8.0])
def test_the_nucleus_is_that_of_transformers(top_p, spread):
    logits = spread * torch.randn(5000, generator=torch.Generator().manual_seed(1))
    theirs = TopPLogitsWarper(top_p)(None, logits.double()[None])[0]
    ours = nucleus(logits.double().softmax(-1), top_p)
    assert torch.equal(ours > 0, theirs.isfinite())


@pytest.mark.parametrize(
    ("temperature", "top_p", "expected"),
    [
        (1.0, 1.0, [0.15, 0.5, 0.1, 0.25]),
        (1.0, 0.6, [0, 2 / 3, 0, 1 / 3]),  # the two likeliest have 0.75
        (0.5, 1.0, [9 / 138, 100 / 138, 4 / 138, 25 / 138]),  # squares of 15, 50, 10, 25
        (0.5, 0.8, [0, 0.8, 0, 0.2]),  # temperature first: the two likeliest have 125 / 138
        (0.0, 1.0, [0, 1, 0, 0]),
        (1e-30, 0.9, [0, 1, 0, 0]),
    ],
)
def test_tokens_are_drawn_as_often_as_they_should(temperature, top_p, expected):
    sampler = Sampler(temperature, top_p, seed=3)
    drawn = torch.bincount(torch.tensor([sampler(SHARES.log()) for _ in range(2000)]), minlength=4)
    apart = (drawn / 2000 - torch.tensor(expected)).abs()
    assert apart.max() < 4 * 0.5 / 2000**0.5
    assert (drawn[torch.tensor(expected) == 0] == 0).all()


def test_seeds_decide_and_the_global_generator_is_left_alone():
    before = torch.get_rng_state()

    def draws(seed: int) -> list[int]:
        sampler = Sampler(1.0, 1.0, seed)
        return [sampler(SHARES.log()) for _ in range(30)]

    assert draws(1) == draws(1) != draws(2)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("top_p", [0, -1, 1.01])
def test_a_probability_mass_outside_0_to_1_is_refused(top_p):
    with pytest.raises(ValueError, match="top_p must be above 0 and at most 1"):
        Sampler(1.0, top_p, 0)


TEXT = "naïve 🎉 日本語, 👩‍👩‍👧"


def test_letters_come_whole_and_as_soon_as_they_are():
    tokenizer = byte_tokenizer()
    ids = tokenizer.encode(TEXT, add_special_tokens=False)
    assert len(ids) == len(TEXT.encode())
    assert list(text_pieces(tokenizer, ids)) == list(TEXT)


def test_a_letter_cut_at_the_end_shows_as_the_tokenizer_shows_it():
    tokenizer = byte_tokenizer()
    ids = tokenizer.encode("a🎉", add_special_tokens=False)[:-1]
    assert list(text_pieces(tokenizer, ids)) == ["a", "\ufffd"]
    broken = [*ids, *tokenizer.encode("b", add_special_tokens=False)]
    assert list(text_pieces(tokenizer, broken)) == ["a", "\ufffdb"]


def test_control_tokens_are_never_text():
    tokenizer = byte_tokenizer()
    letters = tokenizer.encode("ab", add_special_tokens=False)
    ids = [tokenizer.bos_token_id, letters[0], tokenizer.eos_token_id, letters[1]]
    assert list(text_pieces(tokenizer, ids)) == ["a", "b"]


def test_spaces_that_a_tokenizer_drops_at_the_start_stay_inside():
    words = Tokenizer(models.WordLevel({"▁so": 0, "▁it": 1, "s": 2, "?": 3}, unk_token="?"))
    words.decoder = decoders.Metaspace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
    assert list(text_pieces(tokenizer, [0, 1, 2, 1])) == ["so", " it", "s", " it"]


def test_a_long_text_costs_no_more_per_token_than_a_short_one():
    tokenizer, decoded = byte_tokenizer(), []

    class Counting:
        def decode(self, ids: list[int], **settings: bool) -> str:
            decoded.append(len(ids))
            return tokenizer.decode(ids, **settings)

    ids = tokenizer.encode("é" * 500, add_special_tokens=False)
    assert "".join(text_pieces(Counting(), ids)) == "é" * 500
    assert max(decoded) <= 4
