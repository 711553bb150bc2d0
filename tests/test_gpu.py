"""What only a GPU can show: placement, bfloat16, streaming, a training step, memory, full sizes.

`pytest --run-gpu -m gpu` takes a few minutes on one card. `--gpu-device cpu` rehearses all but the
full sizes without one.
"""

import itertools
import threading
from dataclasses import replace

import pytest
import torch

from benchmarks.cost import built, measure
from mowe.assistant import Assistant, Sampling, Turn
from mowe.audio import load_audio
from mowe.checkpoint import MoWE, fast_dtype, place
from mowe.model import make_batch
from mowe.model.language_model import AUDIO_MARK, Message
from mowe.presets import PAPER_DIVERSE, TINY_RANDOM

pytestmark = pytest.mark.gpu
SPEECH = ("speech-prompt.flac", "speech-game.flac")
QUESTION = "What does the speaker say?"


@pytest.fixture(scope="module")
def device(request) -> str:
    name = request.config.getoption("--gpu-device")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.fail("--run-gpu needs a CUDA device, and torch finds none")
    return name


@pytest.fixture(scope="module")
def shipped():
    from mowe.shipped import CHECKPOINTS

    return CHECKPOINTS["mini"]


@pytest.fixture(scope="module")
def fast(device, shipped) -> MoWE:
    return MoWE.from_pretrained(shipped, device=device)


@pytest.fixture(scope="module")
def exact(device, shipped) -> MoWE:
    return MoWE.from_pretrained(shipped, device=device, dtype=torch.float32)


def batch_of(model: MoWE, paths):
    recordings = [load_audio(path) for path in paths]
    batch = make_batch(
        [
            {rate: torch.from_numpy(one.at(rate)) for rate in model.sample_rates}
            for one in recordings
        ]
    )
    return replace_device(batch, model.device)


def replace_device(batch, device):
    return batch._replace(
        waveforms={rate: one.to(device) for rate, one in batch.waveforms.items()},
        lengths={rate: one.to(device) for rate, one in batch.lengths.items()},
    )


def prompts_for(model: MoWE, heard, replies):
    return [
        model.language_model.prompt(
            [Message("user", f"{AUDIO_MARK}{QUESTION}"), Message("assistant", reply)],
            [count],
            reply=False,
        )
        for count, reply in zip(heard.mask.sum(dim=1).tolist(), replies, strict=True)
    ]


def test_everything_lies_on_the_device_in_the_dtype_that_is_fast_there(fast, device):
    assert {one.device.type for one in (*fast.parameters(), *fast.buffers())} == {device}
    frozen = {one.dtype for one in fast.base_encoder.parameters()}
    assert frozen == {fast_dtype(device)}
    trained = {one.dtype for name, one in fast.named_parameters() if ".lora_" in name}
    assert trained == {torch.float32}


@torch.inference_mode()
def test_the_fast_dtype_hears_and_routes_as_float32_does(fast, exact, examples):
    quick, slow = (model.listen(batch_of(model, clips(examples))) for model in (fast, exact))
    assert torch.equal(quick.mask, slow.mask)
    torch.testing.assert_close(quick.routing.dependent, slow.routing.dependent, atol=0.05, rtol=0.0)
    near = torch.cosine_similarity(quick.tokens.float(), slow.tokens.float(), dim=-1)
    assert near[slow.mask].mean() > 0.98


def clips(examples):
    return [examples / name for name in SPEECH]


def test_a_device_in_float32_answers_as_the_cpu_does(exact, shipped, examples):
    here = MoWE.from_pretrained(shipped, device="cpu", dtype=torch.float32)
    said = [
        [ask(Assistant(model), clip)[-1].text for clip in clips(examples)]
        for model in (here, exact)
    ]
    assert said[0] == said[1]


def test_what_the_mixture_costs_is_measured_on_the_device(device, examples):
    found = measure(
        built(TINY_RANDOM, device), TINY_RANDOM, clips(examples)[0], rounds=2, once=False
    )
    assert all(one["seconds"]["first"]["median"] > 0 for one in found["variants"])


def ask(assistant: Assistant, clip, stop=None):
    turn = Turn("user", QUESTION, (load_audio(clip, limits=assistant.limits),))
    return list(assistant.stream([turn], sampling=Sampling(max_new_tokens=40), stop=stop))


def test_answers_stream_and_stop(fast, examples):
    assistant, stop = Assistant(fast), threading.Event()
    texts = [answer.text for answer in ask(assistant, clips(examples)[0])]
    assert len(set(texts)) > 3
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))
    stop.set()
    assert ask(assistant, clips(examples)[0], stop)[-1].text == ""


def test_answering_again_and_again_holds_no_more_memory(fast, device, examples):
    if device == "cpu":
        pytest.skip("torch counts the memory of CUDA devices only")
    assistant, held = Assistant(fast), []
    for _ in range(4):
        assistant.memory.let_go()
        ask(assistant, clips(examples)[0])
        held.append(torch.cuda.memory_allocated())
    assert held[-1] <= held[1] * 1.01


def losses_of_steps(device: str, paths) -> list[float]:
    model = MoWE.from_preset("tiny-random", device=device, dtype=torch.float32).train()
    model.language_model.requires_grad_(False)
    learned = [*model.router.parameters(), *model.fusion.parameters(), *model.adapter.parameters()]
    learned += [one for name, one in model.named_parameters() if ".lora_" in name]
    for parameter in learned:
        parameter.requires_grad_(True)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # each device draws its own masks
    optimizer, losses = torch.optim.AdamW(learned, lr=1e-2), []
    for _ in range(5):
        heard = model.listen(batch_of(model, paths))
        loss = model(heard, prompts_for(model, heard, ["yes", "no"])).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_training_steps_go_the_way_of_the_cpu(device, examples):
    here, there = (losses_of_steps(one, clips(examples)) for one in ("cpu", device))
    assert here[-1] < here[0]
    assert there == pytest.approx(here, abs=1e-3)


def test_the_paper_at_its_own_size_takes_a_training_step(device, examples, capsys):
    if device == "cpu":
        pytest.skip("nine billion values need a GPU")
    encoders = [replace(one, source="random") for one in PAPER_DIVERSE.weak_encoders]
    config = replace(
        PAPER_DIVERSE,
        base_encoder=replace(PAPER_DIVERSE.base_encoder, source="random"),
        weak_encoders=tuple(encoders),
        language_model=replace(PAPER_DIVERSE.language_model, source="random"),
    )
    torch.cuda.reset_peak_memory_stats()
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = MoWE(config)
    finally:
        torch.set_default_dtype(before)
    place(model, device, torch.bfloat16)
    for part in (model.router, model.fusion, model.adapter):
        part.float()
    model.train()
    with torch.autocast(device, torch.bfloat16):
        heard = model.listen(batch_of(model, clips(examples)))
        assert heard.tokens.shape[-1] == 4096
        losses = model(heard, prompts_for(model, heard, ["yes", "no"]))
    losses.total.backward()
    grown = [
        one for name, one in model.named_parameters() if ".lora_B" in name and one.grad is not None
    ]
    assert grown
    assert all(torch.isfinite(one.grad).all() for one in grown)
    with capsys.disabled():
        print(f"\npeak memory: {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")
