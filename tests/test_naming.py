"""The adapter that names what is heard."""

import math
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from torch import Tensor

from mowe.config import NamingConfig
from mowe.errors import ConfigError
from mowe.hints.naming import (
    SOUNDS,
    SPEECH,
    Named,
    Namer,
    NamingAdapter,
    SoundEvents,
    frame_statistics,
    stretches,
)
from mowe.model.adapter import AudioTokens

EVERY_FRAME = torch.ones(2, 50, dtype=torch.bool)


def random_words(texts: Sequence[str]) -> Tensor:
    return torch.randn(len(texts), 10, generator=torch.Generator().manual_seed(0))


def words_of(table: Mapping[str, Tensor]) -> Callable[[Sequence[str]], Tensor]:
    return lambda texts: torch.stack([table[text] for text in texts])


def naming_adapter(words=random_words, **changed) -> NamingAdapter:
    torch.manual_seed(0)
    config = NamingConfig(frames_per_token=25, residual_dim=8, **changed)
    return NamingAdapter(6, 10, config, words).eval()


def test_the_sounds_heard_by_hand():
    # tokens say: a, a still, pause, a again, b, padding
    sounds = torch.tensor([[[9.0, 0], [9, 0], [9, 0], [9, 0], [0, 9], [0, 9]]])
    pause = torch.tensor([[-9.0, -9, 9, -9, -9, -9]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 0]]).bool()
    best, begins = SoundEvents(sounds, pause, mask).best()
    assert begins.tolist() == [[True, False, False, True, True, False]]
    assert best[begins].tolist() == [0, 0, 1]


def test_the_sound_is_as_long_as_text_and_the_opening_comes_last():
    adapter = naming_adapter(names={"gender": ("man", "woman")})
    adapter.text_length.fill_(3.0)
    adapter.loudness.data.fill_(0.5)
    adapter.opening.data = torch.arange(10.0)
    mask = torch.ones(2, 50, dtype=torch.bool)
    mask[1] = False
    audio = adapter(torch.randn(2, 50, 6), mask)
    assert audio.tokens.shape == (2, 2 + 1 + 1, 10)  # two sounds, a label, the opening
    assert torch.allclose(audio.tokens[0, :2].norm(dim=-1), torch.tensor([1.5, 1.5]), atol=1e-4)
    assert torch.equal(audio.tokens[:, -1], torch.arange(10.0).expand(2, -1))
    assert audio.mask.tolist() == [[True] * 4, [False] * 3 + [True]]


def test_unnamed_tokens_are_those_of_the_sound_and_the_opening_alone():
    adapter = naming_adapter(events=("bell", "rain"), names={"gender": ("man", "woman")})
    adapter.opening.data = torch.arange(10.0)
    frames, mask = torch.randn(2, 50, 6), EVERY_FRAME.clone()
    mask[1, 25:] = False
    named, plain = adapter(frames, mask), adapter.unnamed(frames, mask)
    assert plain.tokens.shape == (2, 2 + 1, 10)  # two sounds, the opening
    assert plain.mask.tolist() == [[True] * 3, [True, False, True]]
    words = adapter.namer.event_words(named.notes)
    assert torch.allclose(plain.tokens[0, :2], named.tokens[0, :2] - words[0])
    assert torch.equal(plain.tokens[:, -1], torch.arange(10.0).expand(2, -1))
    torch.testing.assert_close(plain.notes.labels["gender"], named.notes.labels["gender"])


def test_the_length_of_text_is_kept_but_not_trained():
    adapter = naming_adapter()
    assert "text_length" in adapter.state_dict()
    assert "text_length" not in dict(adapter.named_parameters())


def test_the_probabilities_of_the_sounds_and_the_pause_sum_to_one():
    heard = naming_adapter(events=("bell", "rain", "dog"))(torch.randn(2, 50, 6), EVERY_FRAME)
    log = heard.notes.events.log_probabilities()
    assert log.shape == (2, 2, 4)
    assert torch.allclose(log.exp().sum(-1), torch.ones(2, 2), atol=1e-5)


def test_a_named_label_is_the_mean_of_its_words():
    table = dict(zip(("dog bark", "rain", "none", "man", "woman"), torch.randn(5, 10), strict=True))
    adapter = naming_adapter(
        words_of(table), events=("dog bark", "rain"), names={"gender": ("man", "woman")}
    )
    namer = adapter.namer
    for layer, bias in ((namer.event, [99.0, 0.0]), (namer.label["gender"], [0.0, 0.0, 99.0])):
        layer.weight.data.zero_()
        layer.bias.data = torch.tensor(bias)
    namer.pause.weight.data.zero_()
    namer.pause.bias.data.fill_(-99.0)  # something sounds all the time
    frames, mask = torch.randn(2, 50, 6), torch.ones(2, 50, dtype=torch.bool)
    audio = adapter(frames, mask)
    named = audio.notes
    assert audio.tokens.shape == (2, 4, 10)  # 25 frames a token, one set of labels, the opening
    assert torch.allclose(audio.tokens[:, 2], table["woman"].expand(2, -1), atol=1e-5)
    assert named.probabilities()["gender"].argmax(dim=-1).tolist() == [2, 2]
    assert torch.allclose(namer.event_words(named)[0, 0], table["dog bark"], atol=1e-5)


def test_statistics_are_mean_and_deviation_of_the_real_frames():
    frames = torch.tensor([[[1.0, 2.0], [3.0, 2.0], [99.0, 99.0]], [[5.0, 0.0]] * 3])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = frame_statistics(frames, mask)
    assert torch.allclose(found, torch.tensor([[2.0, 2.0, 1.0, 0.0], [5.0, 0.0, 0.0, 0.0]]))


def test_statistics_of_still_frames_have_a_gradient():
    frames = torch.ones(1, 4, 2, requires_grad=True)  # features of an encoder that did not run
    frame_statistics(frames, torch.ones(1, 4, dtype=torch.bool)).sum().backward()
    assert torch.allclose(frames.grad, torch.full((1, 4, 2), 0.25))  # of the mean alone


def test_a_set_can_be_told_from_statistics_of_the_fused_frames():
    names = {"gender": ("man", "woman"), "language": ("Dutch", "Greek")}
    adapter = naming_adapter(names=names, statistics=("language",))
    assert adapter.namer.label["language"].in_features == 2 * 6
    assert adapter.namer.label["gender"].in_features == 10
    layer = adapter.namer.label["language"]
    layer.weight.data.zero_(), layer.bias.data.zero_()
    layer.weight.data[1, 0] = layer.weight.data[2, 6] = 1.0  # mean and deviation of a feature
    frames, mask = torch.zeros(2, 50, 6), torch.ones(2, 50, dtype=torch.bool)
    frames[0, :, 0] = 4.0
    frames[1, ::2, 0], frames[1, 1::2, 0] = 3.0, -3.0
    named = adapter(frames, mask).notes
    assert torch.allclose(named.labels["language"], torch.tensor([[0.0, 4, 0], [0, 0, 3]]))


def test_statistics_of_an_unknown_set_are_refused():
    with pytest.raises(ConfigError, match=r"statistics names \['age'\], the sets are \['gender'\]"):
        NamingConfig(names={"gender": ("man", "woman")}, statistics=("age",))
    with pytest.raises(ConfigError, match=r"statistics names \['sound'\], the sets are \[\]"):
        NamingConfig(statistics=("sound",))


def test_stretches_end_half_way_between_sounds():
    assert stretches([2, 6, 7], 10) == [(0, 4), (4, 7), (7, 10)]
    assert stretches([3], 10) == [(0, 10)]
    assert stretches([], 10) == []


SOUND_NAMES = ("bell", "rain", SPEECH)


def heard_at(places: dict[int, int], tokens: int = 4) -> Named:
    """What a namer says that hears these sounds at these tokens and nothing in between."""
    sounds, pause = torch.zeros(1, tokens, len(SOUND_NAMES)), torch.full((1, tokens), 9.0)
    for token, sound in places.items():
        sounds[0, token, sound], pause[0, token] = 5.0, -9.0
    return Named(SoundEvents(sounds, pause, torch.ones(1, tokens, dtype=torch.bool)), {})


def namer_of_means() -> Namer:
    """A bell scores three times the mean of the first of two features, rain that of the second."""
    namer = Namer(4, SOUND_NAMES, {}, random_words, fused_dim=2, statistics=(SOUNDS,))
    namer.around_weight[0, 0] = namer.around_weight[1, 1] = 3.0
    return namer


def names_of(named: Named) -> list[str]:
    best, said = named.events.best()
    return [SOUND_NAMES[one] for one in best[0][said[0]].tolist()]


def test_a_lone_sound_is_named_by_the_statistics_of_the_whole_clip():
    frames, mask = torch.tensor([[[0.0, 1.0]] * 6 + [[2.0, 1.0]] * 2]), torch.ones(1, 8).bool()
    named = namer_of_means().name_again(heard_at({1: 0}), frames, mask, 2)
    assert names_of(named) == ["rain"]  # 3 for its mean of 1, where a bell has 1.5
    assert named.events.sounds[0].tolist() == [[1.5, 3.0, 0.0]] * 4
    assert torch.equal(named.events.pause, heard_at({1: 0}).events.pause)


def test_a_decoder_shares_out_what_is_not_silence_and_its_likeliest_label_is_quoted():
    table = dict(zip(("none", "Dutch", "Greek"), torch.eye(4)[:3], strict=True))
    namer = Namer(4, (), {"language": ("Dutch", "Greek")}, words_of(table), decoded=True)
    for parameter in namer.label["language"].parameters():
        torch.nn.init.zeros_(parameter)
    namer.label["language"].bias.data[1] = math.log(3)  # three to one that somebody speaks
    sounds = AudioTokens(torch.zeros(2, 1, 4), torch.ones(2, 1).bool())
    languages = torch.tensor([[0.6, 0.4], [0.1, 0.9]]).log()
    named = namer(sounds, None, languages)
    expected = [[0.25, 0.45, 0.3], [0.25, 0.075, 0.675]]
    torch.testing.assert_close(named.probabilities()["language"], torch.tensor(expected))
    quoted = namer.label_words(named)[:, 0]
    assert quoted.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    namer.label["language"].bias.data[1] = -0.1  # rather nobody than somebody
    assert namer.label_words(namer(sounds, None, languages))[0, 0].tolist() == [1, 0, 0, 0]


def test_a_lone_voice_stays_a_voice():
    frames, mask = torch.tensor([[[0.0, 9.0]] * 8]), torch.ones(1, 8).bool()
    assert names_of(namer_of_means().name_again(heard_at({1: 2}), frames, mask, 2)) == [SPEECH]


def test_sounds_in_a_row_are_named_by_tokens_and_statistics():
    # Half a clip each: the first is louder in the second feature than its token is sure (6 to 5).
    frames = torch.tensor([[[0.0, 2.0]] * 4 + [[0.0, 1.0]] * 4])
    named = namer_of_means().name_again(heard_at({0: 0, 3: 0}), frames, torch.ones(1, 8).bool(), 2)
    assert names_of(named) == ["rain", "bell"]
    assert named.events.sounds[0, 0].tolist() == [5.0, 6.0, 0.0]
    assert named.events.sounds[0, 3].tolist() == [5.0, 3.0, 0.0]


def test_what_names_again_is_kept_but_not_trained():
    adapter = naming_adapter(events=SOUND_NAMES, statistics=(SOUNDS,))
    assert not [name for name, _ in adapter.named_parameters() if "around" in name]
    kept = {name for name in adapter.state_dict() if "around" in name}
    assert kept == {"namer.around_weight", "namer.around_bias"}
    adapter.namer.pause.bias.data.fill_(-99.0)
    adapter.namer.around_bias[1] = 99.0
    frames, mask = torch.randn(1, 50, 6), torch.ones(1, 50, dtype=torch.bool)
    assert adapter.train()(frames, mask).notes.events.sounds.max() < 50
    assert (adapter.eval()(frames, mask).notes.events.sounds.argmax(dim=-1) == 1).all()


@pytest.mark.parametrize("statistics", [(), ("gender",), ("sound",)])
def test_names_do_not_depend_on_padding_or_batch_mates(statistics):
    adapter = naming_adapter(
        events=("bell", "rain"), names={"gender": ("man", "woman")}, statistics=statistics
    )
    if SOUNDS in statistics:
        torch.nn.init.normal_(adapter.namer.around_weight)
        adapter.namer.pause.bias.data.fill_(-99.0)
    frames, mask = torch.randn(2, 150, 6), torch.ones(2, 150, dtype=torch.bool)
    mask[1, 77:] = False
    frames[1, 77:] = 100.0  # would be heard if it leaked
    together, alone = adapter(frames, mask), adapter(frames[1:, :77], mask[1:, :77])
    kept = together.tokens[1][together.mask[1]]
    assert torch.allclose(kept, alone.tokens[0][alone.mask[0]], atol=1e-4)
    assert torch.allclose(
        together.notes.labels["gender"][1], alone.notes.labels["gender"][0], atol=1e-5
    )
