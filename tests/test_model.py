"""The whole mixture on small random parts: who runs, what changes, what must not matter."""

from collections import Counter

import pytest
import torch

from mowe.checkpoint import MoWE
from mowe.model import AudioBatch, MoWEModel, count_parameters, make_batch
from mowe.model.control import RoutingControl
from mowe.model.language_model import AUDIO_MARK, Message
from mowe.presets import PRESETS, TINY_RANDOM, preset


@pytest.fixture
def model() -> MoWEModel:
    torch.manual_seed(0)
    return MoWEModel(TINY_RANDOM).eval()


def noise(seconds: float, seed: int) -> dict[int, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        rate: 0.1 * torch.randn(round(rate * seconds), generator=draw) for rate in (16_000, 44_100)
    }


def prompts_for(model: MoWEModel, heard, reply: str = "A dog."):
    chat = [Message("user", f"{AUDIO_MARK}What sound is this?"), Message("assistant", reply)]
    counts = heard.mask.sum(dim=1).tolist()
    return [model.language_model.prompt(chat, [count], reply=False) for count in counts]


def test_placeholder_count_equals_audio_tokens(model):
    heard = model.listen(make_batch([noise(2.0, 0), noise(1.3, 1)]))
    for tokens, prompt in zip(heard.audio_tokens(), prompts_for(model, heard), strict=True):
        assert int((prompt.ids < 0).sum()) == len(tokens)


def test_an_examples_tokens_do_not_depend_on_batch_mates_or_padding(model):
    clips = [noise(3.0, 0), noise(1.2, 1), noise(2.1, 2)]
    together = model.listen(make_batch(clips))
    for row, clip in enumerate(clips):
        alone = model.listen(make_batch([clip]))
        count = alone.tokens.shape[1]
        assert together.mask[row].sum() == count
        assert torch.allclose(together.tokens[row, :count], alone.tokens[0], atol=1e-4)
        assert torch.allclose(
            together.routing.dependent[row], alone.routing.dependent[0], atol=1e-5
        )


def test_extra_padding_changes_nothing(model):
    clip = noise(1.2, 1)
    batch = make_batch([clip])
    padded = AudioBatch(
        {rate: torch.nn.functional.pad(one, (0, rate)) for rate, one in batch.waveforms.items()},
        batch.lengths,
    )
    assert torch.allclose(model.listen(batch).tokens, model.listen(padded).tokens, atol=1e-4)


def test_each_chosen_encoder_runs_once_on_its_examples_only(model):
    calls: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for encoder in model.weak_encoders:

        def count(module, inputs, _output):
            calls[module.name] += 1
            sizes[module.name] += len(inputs[0])

        encoder.register_forward_hook(count)
    heard = model.listen(make_batch([noise(1.0, seed) for seed in range(4)]))
    wanted = heard.routing.chosen.sum(dim=0).tolist()
    expected = {name: n for name, n in zip(model.encoder_names, wanted, strict=True) if n}
    assert dict(sizes) == expected
    assert set(calls.values()) == {1}
    assert len(calls) < len(model.encoder_names)  # top-1 of two routers leaves one idle here


def test_no_weak_encoder_runs_when_told_so(model):
    for encoder in model.weak_encoders:
        encoder.register_forward_hook(lambda *_: pytest.fail("a weak encoder ran"))
    model.listen(make_batch([noise(1.0, 0)]), RoutingControl(no_weak=True))


def test_forcing_an_encoder_changes_the_tokens(model):
    batch = make_batch([noise(1.0, 0)])
    first, second = (
        model.listen(batch, RoutingControl(force=(name,))) for name in ("speaker", "sound")
    )
    assert not torch.allclose(first.tokens, second.tokens, atol=1e-4)


def test_a_step_changes_what_is_trained_and_nothing_else(model):
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    model.train()
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    # Two steps: LoRA's B starts at zero, so its A moves from the second step on.
    for step in range(2):
        batch = make_batch([noise(1.0, 10 * step + seed) for seed in range(4)])
        heard = model.listen(batch, RoutingControl(dense=True))
        optimizer.zero_grad()
        model(heard, prompts_for(model, heard)).total.backward()
        optimizer.step()
    changed = {name for name, one in model.named_parameters() if not torch.equal(one, before[name])}
    rooms = ("router.", "fusion.", "adapter.")
    expected = {name for name in before if name.startswith(rooms) or ".lora_" in name}
    assert changed == expected


def test_encoders_stay_in_evaluation_mode_while_the_mixture_trains(model):
    model.train()
    encoders = [model.base_encoder, *model.weak_encoders]
    assert not any(module.training for encoder in encoders for module in encoder.modules())
    assert model.adapter.training


def test_four_examples_can_be_learnt_by_heart(model):
    torch.manual_seed(0)
    # Spread embeddings: with tiny ones a frozen random output layer cannot be confident.
    torch.nn.init.normal_(model.language_model.embedding.weight)
    model.train()
    dense = RoutingControl(dense=True)
    features, _ = model.encode(make_batch([noise(1.0, seed) for seed in range(4)]), dense)
    replies = ["dog", "rain", "bell", "car"]
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=0.02)
    losses = []
    for _ in range(150):
        heard = model.adapt(features._replace(routing=model.route(features.base, dense)))
        chats = [prompts_for(model, heard, reply)[row] for row, reply in enumerate(replies)]
        loss = model(heard, chats).next_token
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def test_base_only_has_no_router_and_no_routing_loss():
    config = PRESETS["base-only"]
    with torch.device("meta"):
        model = MoWE(config)
    assert model.router is None
    assert not model.weak_encoders
    assert model.encoder_names == ()


def encoder_millions(encoder) -> float:
    return sum(one.numel() for one in encoder.parameters()) / 1e6


@pytest.mark.parametrize("name", ["paper-diverse", "paper-uniform", "mini", "base-only"])
def test_every_preset_builds_on_meta(name, capsys):
    with torch.device("meta"):
        model = MoWE(preset(name))
    counts = count_parameters(model)
    assert counts.trained + counts.frozen == sum(one.numel() for one in model.parameters())
    with capsys.disabled():
        millions = {key: f"{value / 1e6:.1f} M" for key, value in counts._asdict().items()}
        print(f"\n{name}: {millions}")


def test_the_paper_presets_have_the_papers_sizes():
    with torch.device("meta"):
        diverse = MoWEModel(preset("paper-diverse"))
    assert encoder_millions(diverse.base_encoder) == pytest.approx(636.97, abs=0.01)
    weak = {one.name: encoder_millions(one) for one in diverse.weak_encoders}
    assert weak["whisper-tiny-1"] == pytest.approx(8.2, abs=0.05)
    assert weak["hubert-base"] == pytest.approx(94.4, abs=0.05)
    own = [one for name, one in diverse.language_model.named_parameters() if ".lora_" not in name]
    assert sum(one.numel() for one in own) / 1e9 == pytest.approx(8.03, abs=0.005)
    assert diverse.config.adapter.frames_per_token * 100 == 1500  # frames of 30 s at 50 Hz


def test_unknown_presets_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no preset 'x'; there are mini, "):
        preset("x")
