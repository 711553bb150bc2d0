"""What would have been answered under another routing: words, likelihoods, and the panel."""

import copy
import threading

import gradio as gr
import pytest
import torch
from fakes import FakeAssistant
from serving import write_tone
from snippets import run_example
from test_comparison import noise

from mowe.analysis.worth.counterfactual import (
    ADDED,
    LEARNED,
    REMOVED,
    SAME,
    Piece,
    counterfactuals,
    variants,
    word_changes,
)
from mowe.assistant import Assistant, HeardMemory, Sampling
from mowe.audio import load_audio
from mowe.errors import QuestionError
from mowe.model.control import RoutingControl
from mowe.model.language_model import IGNORED, Message, Prompt
from mowe.ui.ask.routing_control import routing_choices, routing_control
from mowe.ui.routing.counterfactual import CounterfactualEvents, highlighted, row
from mowe.ui.routing.handlers import Comparison

QUESTION = "What is it?"
LETTERS = [ord(sign) for sign in "abcdefghijklmnopqrstuvwxyz"]


class Swayed(FakeAssistant):
    """A fake whose words depend on what ran."""

    def stream(self, conversation, *, control=None, **settings):
        self.control = control
        yield from super().stream(conversation, control=control, **settings)

    def _reply(self, conversation):
        forced = self.control.force if self.control else ()
        heard = forced[0] if forced else "a dog"
        return f"I hear {heard} and rain".split()


@pytest.fixture(scope="module")
def spelling(tiny_model):
    """The random mixture, in float32, with a language model that can only say letters."""
    model = copy.deepcopy(tiny_model)
    tokens = model.language_model.tokenizer.convert_ids_to_tokens(range(len(
        model.language_model.tokenizer
    )))  # fmt: skip
    silent = [place for place, one in enumerate(tokens) if len(one) > 1 or ord(one) not in LETTERS]
    with torch.no_grad():
        model.language_model.model.get_output_embeddings().weight[silent] = 0.0
    return Assistant(model)


def asked(assistant, recording, control=None):
    """The prompt that `ask` uses and its audio, made by hand."""
    model = assistant.model
    audio = assistant.listener.window(
        recording, 0.0, recording.seconds, control, HeardMemory()
    ).tokens
    chat = [Message("user", "\ue000" + QUESTION)]
    return model.language_model.prompt(chat, [len(audio)], reply=True), audio


@torch.inference_mode()
def teacher_forced(assistant, recording, text, control=None):
    """Log-probability of a text after the prompt, from all logits of one unpadded pass, nats."""
    language_model = assistant.model.language_model
    prompt, audio = asked(assistant, recording, control)
    words = torch.tensor(language_model.encode(text))
    embedded = language_model.embed(torch.cat([prompt.ids, words])[None], audio)
    scores = language_model.model(inputs_embeds=embedded).logits[0].float().log_softmax(-1)
    places = range(len(prompt.ids) - 1, len(prompt.ids) + len(words) - 1)
    return sum(float(scores[place, word]) for place, word in zip(places, words, strict=True))


@torch.inference_mode()
def greedy(assistant, recording, steps):
    """Text and summed log-probability of greedy decoding, token by token, nats."""
    language_model = assistant.model.language_model
    prompt, audio = asked(assistant, recording)
    embedded, ids, total = language_model.embed(prompt.ids[None], audio), [], 0.0
    for _ in range(steps):
        scores = language_model.model(inputs_embeds=embedded).logits[0, -1].float().log_softmax(-1)
        ids.append(scores.argmax())
        total += float(scores.max())
        embedded = torch.cat([embedded, language_model.embedding(ids[-1])[None, None]], dim=1)
    return language_model.tokenizer.decode(ids), total


def finished(assistant, recording=None, question=QUESTION, **settings):
    items = counterfactuals(assistant, recording or noise(2), question, **settings)
    return [one for one in items if one.finished]


def test_word_changes_name_what_is_removed_and_added():
    assert word_changes("a dog barks", "a cat barks twice") == (
        Piece("a", SAME),
        Piece("dog", REMOVED),
        Piece("cat", ADDED),
        Piece("barks", SAME),
        Piece("twice", ADDED),
    )
    assert word_changes("a dog", "a  dog\n") == (Piece("a dog", SAME),)
    assert word_changes("", "") == ()
    assert word_changes("gone", "") == (Piece("gone", REMOVED),)


@pytest.mark.parametrize(
    ("before", "after"),
    [("a b c a b", "b a c c a"), ("x " * 300, "x " * 150 + "y " * 3), ("", "new words")],
)
def test_word_changes_rebuild_both_texts(before, after):
    pieces = word_changes(before, after)
    for without, text in ((ADDED, before), (REMOVED, after)):
        kept = [piece.words for piece in pieces if piece.change != without]
        assert " ".join(kept).split() == text.split()


def test_variants_are_the_choices_of_the_ask_page():
    names = FakeAssistant.encoder_names
    pairs = [(label, routing_control(value)) for label, value in routing_choices(names)]
    assert [tuple(one) for one in variants(names)] == pairs
    assert [one.name for one in variants(())] == [LEARNED]


def test_likelihood_equals_the_sum_of_the_greedy_tokens(spelling):
    recording, steps = noise(2), 9
    text, total = greedy(spelling, recording, steps)
    assert len(text) == steps
    assert text == spelling.ask([recording], QUESTION, sampling=Sampling(max_new_tokens=9)).text
    assert spelling.log_likelihood([recording], QUESTION, text) == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("control", [None, RoutingControl(force=("sound",))])
def test_likelihood_equals_a_teacher_forced_sum_by_hand(spelling, control):
    recording, text = noise(2), "Any words, not only greedy ones."
    found = spelling.log_likelihood([recording], QUESTION, text, control=control)
    by_hand = teacher_forced(spelling, recording, text, control)
    assert found == pytest.approx(by_hand, abs=1e-3)
    assert found < -10


def test_likelihood_follows_the_routing(spelling):
    found = {
        one.name: spelling.log_likelihood([noise(2)], QUESTION, "words", control=one.control)
        for one in variants(spelling.encoder_names)
    }
    assert len(set(found.values())) > 3


def test_padding_and_batch_mates_do_not_change_a_likelihood(spelling):
    language_model = spelling.model.language_model
    recording = noise(2)
    prompt, audio = asked(spelling, recording)
    texts = ["a", "some words", "a much longer reply that pads every other one of this batch " * 3]
    with torch.inference_mode():
        prompts = []
        for text in texts:
            words = torch.tensor(language_model.encode(text))
            labels = torch.cat([torch.full_like(prompt.ids, IGNORED), words])
            prompts.append(Prompt(torch.cat([prompt.ids, words]), labels))
        together = language_model.log_likelihoods(prompts, [audio] * 3).tolist()
    for text, found in zip(texts, together, strict=True):
        assert spelling.log_likelihood([recording], QUESTION, text) == pytest.approx(
            found, abs=1e-2
        )


def test_no_words_are_certain(spelling):
    assert spelling.log_likelihood([noise(2)], QUESTION, "") == 0.0
    assert spelling.log_likelihood([], QUESTION, "words") < 0  # a question without a recording


def test_likelihood_refuses_what_ask_refuses_and_windows_apart(spelling):
    with pytest.raises(QuestionError, match="question is empty"):
        spelling.log_likelihood([noise(1)], " ", "words")
    with pytest.raises(QuestionError, match=r"has \d+ tokens, 0 fit"):
        spelling.log_likelihood([noise(1)], QUESTION, "z" * 9000)
    small = Assistant(spelling.model, max_audio_tokens=120)
    with pytest.raises(QuestionError, match="2 windows, each on its own"):
        small.log_likelihood([noise(40)], QUESTION, "words")


def test_every_variant_is_answered_and_the_learned_one_changes_nothing(spelling):
    sampling = Sampling(max_new_tokens=6)
    found = finished(spelling, sampling=sampling)
    assert [one.variant for one in found] == [one.name for one in variants(spelling.encoder_names)]
    learned = found[0]
    assert learned.change == 0.0
    assert learned.same
    pairs = list(zip(found, variants(spelling.encoder_names), strict=True))
    for one, variant in pairs[1], pairs[-1]:
        alone = spelling.ask([noise(2)], QUESTION, sampling=sampling, control=variant.control)
        assert one.text == alone.text
        assert one.ran == alone.windows[0].chosen
        direct = spelling.log_likelihood(
            [noise(2)], QUESTION, learned.text, control=variant.control
        )
        assert one.log_likelihood == direct
        assert one.change == direct - learned.log_likelihood


def test_recordings_answered_window_by_window_have_no_likelihood(spelling):
    small = Assistant(spelling.model, max_audio_tokens=120)
    found = finished(small, noise(40), sampling=Sampling(max_new_tokens=2))
    assert {one.change for one in found} == {None}
    assert "[0:30–0:40]" in found[0].text


def test_differences_are_counted_in_words():
    by_name = {one.variant: one for one in finished(Swayed(step_seconds=0))}
    speaker = by_name["only speaker"]
    assert speaker.text == "I hear speaker and rain"
    assert (speaker.words(REMOVED), speaker.words(ADDED), speaker.words(SAME)) == (2, 1, 4)
    assert not speaker.same
    assert by_name["no weak encoder"].same
    assert by_name["no weak encoder"].change == -0.25 * 6  # the fake's price of six words
    assert row(speaker) == [
        "only speaker", "speaker", "I hear speaker and rain", "no", "2 removed, 1 added", -1.5,
    ]  # fmt: skip
    assert highlighted(speaker) == [
        ("only speaker: ", None),
        ("I hear ", None),
        ("a dog ", REMOVED),
        ("speaker ", ADDED),
        ("and rain ", None),
        ("\n", None),
    ]


def test_equal_seeds_sample_equal_words(spelling):
    sampling = Sampling(max_new_tokens=6, temperature=1.5, seed=3)
    first, second = (finished(spelling, sampling=sampling) for _ in range(2))
    assert first == second


def test_closing_ends_the_decoding():
    fake = FakeAssistant(words=400, step_seconds=0.02)
    items = counterfactuals(fake, noise(2), QUESTION, sampling=Sampling(max_new_tokens=400))
    next(items), next(items)
    items.close()
    assert fake.wait_until_idle(60)
    made = fake.steps
    threading.Event().wait(0.1)
    assert fake.steps == made < 20


def test_the_panel_adds_a_row_per_variant(tmp_path):
    path = write_tone(tmp_path / "tone.wav", 2.0)
    fake = Swayed(step_seconds=0)
    kept = Comparison((str(path),), tuple(fake.route_all([load_audio(path)])))
    updates = list(CounterfactualEvents(fake).run(kept, 0, QUESTION, 60, 0.0, 0))
    column, summary, table, words = updates[-1]
    assert column.visible
    assert (
        summary.value == "1. tone.wav, «What is it?»: 2 of 7 other routings give the same answer."
    )
    rows = table.value["data"]
    assert [one[0] for one in rows] == [one.name for one in variants(fake.encoder_names)]
    assert [one[3] for one in rows] == ["yes", *["no"] * 5, "yes", "yes"]
    said = {part["class_or_confidence"] for part in words.value}
    assert said == {None, REMOVED, ADDED}
    counts = [len(update[2].value["data"]) for update in updates]
    assert counts == sorted(counts)


def test_the_panel_needs_a_clip_and_a_question(tmp_path):
    events = CounterfactualEvents(FakeAssistant())
    with pytest.raises(gr.Error, match="Show the routing of a clip first"):
        next(events.run(None, None, QUESTION, 60, 0.0, 0))
    path = write_tone(tmp_path / "tone.wav", 2.0)
    kept = Comparison((str(path),), tuple(FakeAssistant().route_all([load_audio(path)])))
    with pytest.raises(gr.Error, match="question is empty"):
        next(events.run(kept, 0, " ", 60, 0.0, 0))


def test_the_shipped_model_prefers_its_own_answer(mini_assistant, examples):
    clip, question = [load_audio(examples / "dog.ogg")], "What sound is this?"
    text = mini_assistant.ask(clip, question, sampling=Sampling(max_new_tokens=8)).text
    assert text
    learned = mini_assistant.log_likelihood(clip, question, text)
    assert -8 < learned < 0
    assert mini_assistant.log_likelihood(clip, question, "Zebra quartz.") < learned - 5
    forced = RoutingControl(force=("pitch",))
    assert mini_assistant.log_likelihood(clip, question, text, control=forced) != learned


def test_the_documented_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tone(tmp_path / "clip.wav", 2.0)
    run_example("Counterfactuals")
    printed = capsys.readouterr().out
    assert printed.startswith("learned routing (")
    assert "all encoders (dense) (" in printed
