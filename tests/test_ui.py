"""The page without a browser: it builds, its handlers are plain functions, its API answers."""

import json
import os
import pickle
import stat
from dataclasses import replace
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
import soundfile
from fakes import FakeAssistant
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from serving import serve, write_examples, write_tone

from mowe import ui
from mowe.assistant import Sampling, Turn
from mowe.audio import load_audio
from mowe.data.records import LabelledClip, RecordsFile
from mowe.errors import AudioError
from mowe.model.control import RoutingControl
from mowe.ui.ask import conversation as conversations
from mowe.ui.ask.conversation import Conversation
from mowe.ui.ask.facts import answer_facts
from mowe.ui.ask.handlers import AskEvents
from mowe.ui.ask.parts import card_section
from mowe.ui.ask.routing_control import routing_choices, routing_control, routing_words
from mowe.ui.shared.examples import read_examples
from mowe.ui.shared.gpu import MAX_SECONDS, gpu_seconds
from mowe.ui.specialization import layout as specialization

GREEDY = (200, 0.0, 0.9, 0, "learned", ["transcript"])


@pytest.fixture
def events():
    return AskEvents(FakeAssistant(step_seconds=0.001))


@pytest.fixture
def clip(tmp_path):
    return str(write_tone(tmp_path / "tone.wav", 2.0))


def ask(events, conversation, audio, question, settings=GREEDY):
    """One whole turn, as the page makes it; the conversation after it."""
    started = events.begin(conversation, 0, False, audio, (), [], question)
    updates = list(events.answer(started[0], 0, *settings))
    return events.settle(updates[-1][0], 0, None, (), [], "")[0], updates


def shown(message):
    """The words of a chat message, without the players."""
    content = message["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def traces(plot):
    return json.loads(plot.value["plot"])["data"]


def test_the_app_builds_without_example_clips(tmp_path):
    assert isinstance(ui.build_app(FakeAssistant(), tmp_path), gr.Blocks)


def test_only_the_documented_endpoints_are_public(tmp_path):
    app = ui.build_app(FakeAssistant(), write_examples(tmp_path))
    assert list(app.get_api_info()["named_endpoints"]) == ["/ask", "/transcribe"]


def test_every_event_of_the_model_waits_in_one_queue(tmp_path):
    app = ui.build_app(FakeAssistant(), tmp_path)
    queued = [fn for fn in app.fns.values() if fn.concurrency_id == "model"]
    assert len(queued) == (
        4  # ask, regenerate, and the API: ask, transcribe
        + 1  # Health: compare
        + 2  # Drivers: attribute, make an input up
        + 2  # Routing: show, compare answers
        + 1  # Map: place a recording
    )
    assert {fn.concurrency_limit for fn in queued} == {1}
    assert all(fn.types_generator for fn in queued)


def test_every_input_has_a_label(tmp_path):
    app = ui.build_app(FakeAssistant(), write_examples(tmp_path))
    inputs = (gr.Audio, gr.Textbox, gr.Slider, gr.Number, gr.Dropdown, gr.CheckboxGroup, gr.Plot)
    found = [block for block in app.blocks.values() if isinstance(block, inputs)]
    assert len(found) >= 9
    assert [block for block in found if not block.label] == []


def test_an_answer_streams_from_the_routing_to_the_last_word(events, clip):
    conversation, updates = ask(events, Conversation(), clip, "What sound is this?")
    texts = [shown(update[1][-1]) for update in updates]
    assert texts[0] == conversations.LISTENING
    assert all(later.startswith(earlier) for earlier, later in zip(texts[1:], texts[2:]))  # noqa: B905
    assert conversation.replies[-1].answer.finished
    assert "2.00 s at a level of 0.250" in conversation.turns[-1].text


def test_a_second_recording_joins_the_same_conversation(events, clip, tmp_path):
    other = str(write_tone(tmp_path / "other.wav", 3.0))
    first, _ = ask(events, Conversation(), clip, "What sound is this?")
    second, _ = ask(events, first, other, "And this?")
    assert [turn.role for turn in second.turns] == ["user", "assistant"] * 2
    assert [one.name for one in second.recordings] == ["tone.wav", "other.wav"]
    assert "2 recording(s)" in second.turns[-1].text


def test_several_recordings_can_go_with_one_question(events, clip, tmp_path):
    other = str(write_tone(tmp_path / "other.wav", 3.0))
    kept = events.attach(clip, (), [])
    assert kept.audio is None
    assert kept.pending == (clip,)
    started = events.begin(Conversation(), 0, False, other, kept.pending, ["0"], "Which is longer?")
    assert [one.name for one in started[0].recordings] == ["tone.wav", "other.wav"]
    unticked = events.begin(Conversation(), 0, False, other, kept.pending, [], "Which is longer?")
    assert [one.name for one in unticked[0].recordings] == ["other.wav"]


def test_every_setting_reaches_the_model(events, clip):
    ask(events, Conversation(), clip, "Why?", (50, 0.7, 0.8, 3, "force:speaker", []))
    _, sampling, control = events.assistant.seen[-1]
    assert sampling == Sampling(max_new_tokens=50, temperature=0.7, top_p=0.8, seed=3)
    assert control == RoutingControl(force=("speaker",))


def test_regenerate_asks_again_with_the_next_seed_only_where_it_matters(events, clip):
    conversation, _ = ask(events, Conversation(), clip, "What sound is this?")
    again = events.retract(conversation, 0, False, 0.7, 4)
    assert again[0].waiting
    assert again[-1] == 5
    assert events.retract(conversation, 0, False, 0.0, 4)[-1] == 4


@pytest.mark.parametrize("busy", [True, False])
def test_regenerate_needs_a_finished_answer(events, busy):
    with pytest.raises(gr.Error, match="no finished answer"):
        events.retract(Conversation(), 0, busy, 0.0, 0)


def test_a_second_question_waits_for_the_first_answer(events, clip):
    with pytest.raises(gr.Error, match="press Stop"):
        events.begin(Conversation(), 0, True, clip, (), [], "What sound is this?")


def test_a_stopped_answer_keeps_its_words_and_a_silent_one_gives_the_question_back(events, clip):
    started = events.begin(Conversation(), 0, False, clip, (), [], "What sound is this?")[0]
    updates = events.answer(started, 0, *GREEDY)
    listening, speaking = next(updates)[0], next(updates)[0]
    updates.close()
    assert events.assistant.wait_until_idle(60)
    kept = events.settle(speaking, 0, None, (), [], "")
    assert kept[2][-1]["role"] == "assistant"
    assert shown(kept[2][-1]).startswith("You")
    conversation, busy, messages, audio, question, *_ = events.settle(
        listening, 0, None, (), [], ""
    )
    assert (conversation, busy, messages) == (Conversation(), False, [])
    assert (audio, question) == (clip, "What sound is this?")


def test_closing_the_stream_stops_the_model_within_a_step(clip):
    events = AskEvents(FakeAssistant(words=1000, step_seconds=0.02))
    started = events.begin(Conversation(), 0, False, clip, (), [], "What sound is this?")[0]
    updates = events.answer(started, 0, 1000, *GREEDY[1:])
    next(updates), next(updates)
    updates.close()
    made = events.assistant.steps
    assert events.assistant.wait_until_idle(60)
    assert events.assistant.steps <= made + 1


@pytest.mark.parametrize(
    ("content", "name"), [(b"", "empty.wav"), (b"these are words, not sound" * 99, "words.wav")]
)
def test_a_bad_upload_is_one_sentence_and_the_next_one_works(events, clip, tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gr.Error) as caught:
        events.begin(Conversation(), 0, False, str(tmp_path / name), (), [], "What is this?")
    assert caught.value.message.startswith(name)
    assert "\n" not in caught.value.message
    assert caught.value.print_exception is False
    conversation, _ = ask(events, Conversation(), clip, "What sound is this?")
    assert conversation.replies


def test_a_file_name_cannot_put_markup_into_a_message(events, tmp_path):
    bad = tmp_path / "<img src=x onerror=alert(1)>.wav"
    bad.write_bytes(b"text")
    with pytest.raises(gr.Error) as caught:
        events.begin(Conversation(), 0, False, str(bad), (), [], "What is this?")
    assert "<img" not in caught.value.message
    assert "&lt;img" in caught.value.message


@pytest.mark.parametrize(
    ("words", "shown_as"),
    [
        ("<img src=x onerror=run()>", "&lt;img src=x onerror=run()>"),
        ("</p><!-- -->", "&lt;/p>&lt;!-- -->"),
        ("&lt;b&gt; &#60;", "&amp;lt;b&amp;gt; &amp;#60;"),
        ("2 < 3, Q&A, a && b", "2 < 3, Q&A, a && b"),
    ],
)
def test_words_that_could_be_markup_are_escaped_and_others_left_alone(words, shown_as):
    assert conversations.as_text(words) == shown_as


@pytest.mark.parametrize("question", ["", "   ", "why " * 100])
def test_a_question_that_cannot_be_used_is_refused_and_leaves_no_trace(events, clip, question):
    started = events.begin(Conversation(), 0, False, clip, (), [], question)
    with pytest.raises(gr.Error, match="the question"):
        list(events.answer(started[0], 0, *GREEDY))
    assert events.settle(started[0], 0, clip, (), [], question)[0] == Conversation()


def test_a_conversation_holds_a_bounded_amount_of_audio(events, clip, monkeypatch):
    monkeypatch.setattr(conversations, "MAX_SECONDS", 3.0)
    conversation, _ = ask(events, Conversation(), clip, "What sound is this?")
    recordings = conversation.recordings
    with pytest.raises(AudioError, match="press Clear"):
        conversation.asked("And this?", recordings)


def test_clear_forgets_everything_but_the_settings(events):
    cleared = events.clear(Conversation(), 4)
    assert cleared[:4] == (Conversation(number=5), 5, False, [])


def test_a_late_word_does_not_bring_a_cleared_conversation_back(events, clip):
    late, _ = ask(events, Conversation(), clip, "What sound is this?")
    number = events.clear(late, 0)[1]
    assert events.settle(late, number, None, (), [], "")[2] == []
    assert len(events.begin(late, number, False, clip, (), [], "And this?")[0].turns) == 1
    with pytest.raises(gr.Error, match="no finished answer"):
        events.retract(late, number, False, 0.0, 0)


def test_an_answer_that_clear_did_not_catch_writes_nothing_into_the_fresh_page(events, clip):
    started = events.begin(Conversation(), 0, False, clip, (), [], "What sound is this?")[0]
    under_way = events.answer(started, 0, *GREEDY)
    next(under_way)
    fresh, number, *_ = events.clear(started, 0)
    assert list(under_way) == []
    assert list(events.answer(fresh, number, *GREEDY)) == []  # came after Clear
    assert list(events.answer(started, number, *GREEDY)) == []  # a late start brought it back
    _, updates = ask(events, fresh, clip, "What sound is this?")
    assert updates


def test_the_download_holds_the_whole_conversation(events, clip):
    conversation, _ = ask(events, Conversation(), clip, "What sound is this?")
    download = events.settle(conversation, 0, None, (), [], "")[-1]
    saved = json.loads(Path(download.value["path"]).read_text(encoding="utf-8"))
    question, reply = saved["turns"]
    assert question["text"] == "What sound is this?"
    assert question["recordings"][0]["name"] == "tone.wav"
    assert reply["answer"]["windows"][0]["chosen"] == ["whisper-tiny.en"]
    assert reply["sampling"]["seed"] == 0
    assert str(os.sep) not in question["recordings"][0]["name"]


def test_the_right_hand_side_says_how_to_get_the_same_answer(events, clip):
    _, updates = ask(events, Conversation(), clip, "Why?", (50, 0.7, 0.8, 3, "none", []))
    facts = dict(updates[-1][6]["lines"])
    assert facts["Heard: tone.wav"] == "16 kHz mono, used as it is."
    assert facts["Windows"] == "all windows together."
    assert facts["Reproduce"].startswith(
        "preset fake; temperature 0.7, top-p 0.8, seed 3; at most 50 tokens; no weak encoder; "
        "told in text: nothing; mowe"
    )
    assert [label for label, _ in updates[-1][6]["stats"]] == [
        "First word", "Encoders", "Tokens", "Total",
    ]  # fmt: skip


def test_the_chart_and_its_table_come_before_the_first_word(events, clip):
    _, updates = ask(events, Conversation(), clip, "What sound is this?")
    chart, table = updates[0][7], updates[0][8]
    assert chart.visible
    assert [row[1] for row in table.value["data"]] == list(events.assistant.encoder_names)


def test_a_question_without_a_recording_shows_no_chart(events):
    conversation, updates = ask(events, Conversation(), None, "What can you do?")
    assert conversation.replies
    assert updates[0][7].visible is False
    assert events.heard(conversation)[0].visible is False


def test_several_windows_put_the_routing_under_the_picture(events, tmp_path):
    clip = str(write_tone(tmp_path / "long.wav", 40.0))
    conversation, updates = ask(events, Conversation(), clip, "Describe the audio.")
    before, after = traces(events.heard(conversation)[2]), traces(updates[-1][9])
    assert len(after) == len(before) + len(events.assistant.encoder_names)


def test_an_earlier_recording_can_be_looked_at_again(events, clip, tmp_path):
    other = str(write_tone(tmp_path / "other.wav", 3.0))
    first, _ = ask(events, Conversation(), clip, "What sound is this?")
    second, _ = ask(events, first, other, "And this?")
    picture = json.loads(events.show(second, 0)[2].value["plot"])
    assert picture["layout"]["xaxis2"]["range"] == [0, 2]
    assert events.show(second, 7)[2].value is None


def test_routing_choices_are_words_for_people_and_controls_for_the_model():
    pool = ("speaker", "sound")
    values = [value for _, value in routing_choices(pool)]
    assert values == ["learned", "force:speaker", "force:sound", "none", "dense"]
    assert routing_control("learned") is None
    assert routing_control("none") == RoutingControl(no_weak=True)
    assert routing_control("dense") == RoutingControl(dense=True)
    assert routing_words("force:sound", pool) == "only sound"
    assert routing_choices(()) == [("learned routing", "learned")]


def test_a_longer_clip_asks_for_more_gpu_time_up_to_a_limit(events, clip, tmp_path):
    def seconds(path):
        started = events.begin(Conversation(), 0, False, path, (), [], "Why?")[0]
        return gpu_seconds(started.turns, Sampling(), None)

    long_clip = str(write_tone(tmp_path / "long.wav", 300.0, rate=8000))
    assert 0 < seconds(clip) < seconds(long_clip) < MAX_SECONDS
    assert gpu_seconds((), Sampling(max_new_tokens=1000)) <= MAX_SECONDS


def test_what_a_lent_gpu_is_given_and_gives_back_can_be_pickled(events, clip):
    conversation, _ = ask(
        events, Conversation(), clip, "Why?", (50, 0.7, 0.8, 3, "dense", ["voice"])
    )
    turns, sampling, control = events.assistant.seen[-1]
    sent = pickle.loads(pickle.dumps((turns, sampling, control)))
    assert sent[1:] == (sampling, control)
    assert sent[0][0].recordings[0].content_hash == conversation.recordings[0].content_hash
    answer = conversation.replies[-1].answer
    assert pickle.loads(pickle.dumps(answer)).text == answer.text


@pytest.fixture
def records_file(clip, tmp_path):
    """Six recordings in two tasks, one of which is named like markup."""
    path, fake = tmp_path / "records.parquet", FakeAssistant(step_seconds=0.0)
    file = RecordsFile(path, fake.preset, fake.encoder_names)
    for number in range(6):
        answer = fake._answer([Turn("user", "", (load_audio(clip),))], Sampling(), None)
        labels = {"task": "<b>er</b>" if number % 2 else "asr", "speaker": f"s{number}"}
        file.add(LabelledClip(Path(f"{number}.wav"), labels=labels), str(number), answer)
    file.close()
    return path


def test_a_records_file_fills_the_specialisation_tab(records_file):
    parts = specialization.load(str(records_file))
    assert parts.summary.startswith("6 windows of 6 recordings, mixture fake; both routers")
    assert parts.label.choices == [("task", "task"), ("speaker", "speaker")]
    encoders = len(FakeAssistant.encoder_names)
    assert len(parts.usage_table.value["data"]) == encoders
    assert len(parts.share_table.value["data"]) == 2 * encoders
    _, table = specialization.by_label(parts.records, "speaker")
    assert len(table.value["data"]) == 6 * encoders


def test_a_file_that_holds_no_records_is_one_sentence(tmp_path, records_file, monkeypatch):
    bad = tmp_path / "<b>bad.parquet"
    bad.write_bytes(b"not a table")
    with pytest.raises(gr.Error, match="&lt;b&gt;bad.parquet cannot be read as Parquet"):
        specialization.load(str(bad))
    monkeypatch.setattr("mowe.ui.shared.records.MAX_ROWS", 5)
    with pytest.raises(gr.Error, match="6 rows, at most 5 are shown"):
        specialization.load(str(records_file))


def test_examples_are_read_from_their_list_and_missing_files_left_out(tmp_path):
    folder = write_examples(tmp_path)
    assert [one.title for one in read_examples(folder)] == ["A tone", "A long tone"]
    (folder / "tone.wav").unlink()
    assert [one.title for one in read_examples(folder)] == ["A long tone"]
    assert read_examples(tmp_path / "none") == []


def test_the_temporary_folder_is_private_and_an_existing_choice_is_kept(monkeypatch, tmp_path):
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    ui.use_private_temp_dir()
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    ui.use_private_temp_dir()
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path)


def test_launch_settings_keep_visitors_to_themselves():
    settings = ui.launch_settings(1_000)
    for closed in ("show_error", "enable_monitoring", "run_history", "share", "ssr_mode"):
        assert settings[closed] is False
    assert settings["allowed_paths"] == []
    assert settings["max_file_size"] == 1_000


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    assistant = FakeAssistant(step_seconds=0.005)
    with serve(assistant, write_examples(tmp_path_factory.mktemp("examples"))) as url:
        yield assistant, url


def test_the_api_answers_with_text_and_everything_known_about_it(served, clip):
    assistant, url = served
    client = Client(url, verbose=False)
    text, details = client.predict(
        handle_file(clip), "What sound is this?", seed=7, routing="none", api_name="/ask"
    )
    assert "2.00 s at a level of 0.250" in text
    assert details["file"] == "tone.wav"
    assert details["seed"] == 7
    assert {"text", "question", "preset", "windows", "audio", "timings"} <= set(details)
    assert assistant.seen[-1][2] == RoutingControl(no_weak=True)


def test_the_api_writes_down_speech_with_times_and_subtitles(served, clip):
    assistant, url = served
    client, asked = Client(url, verbose=False), len(assistant.seen)
    text, details = client.predict(handle_file(clip), "french", True, api_name="/transcribe")
    assert text == "Good morning."
    assert (details["file"], details["language"]) == ("tone.wav", "French")
    assert details["segments"][1] == {"start": 1.0, "end": 1.5, "text": "morning."}
    assert details["vtt"].startswith("WEBVTT")
    assert len(assistant.seen) == asked  # the language model was not asked
    with pytest.raises(AppError, match="Klingon is not among the languages that it knows"):
        client.predict(handle_file(clip), "Klingon", api_name="/transcribe")


def test_the_api_refuses_bad_input_in_one_sentence_and_goes_on(served, clip, tmp_path):
    client = Client(served[1], verbose=False)
    bad = tmp_path / "words.wav"
    bad.write_text("these are words, not sound " * 99)
    for audio, question, fault in (
        (bad, "What is this?", "words.wav holds text"),
        (clip, "", "the question is empty"),
        (clip, "why " * 100, "at most 200"),
    ):
        with pytest.raises(AppError, match=fault):
            client.predict(handle_file(str(audio)), question, api_name="/ask")
    assert "2.00 s" in client.predict(handle_file(clip), "What is this?", api_name="/ask")[0]


def test_the_api_reads_every_length_rate_and_number_of_channels(served, tmp_path):
    client = Client(served[1], verbose=False)
    for name, shape, rate in (("short", (800, 1), 16_000), ("wide", (9_600, 8), 96_000)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, np.full(shape, 0.1, dtype=np.float32), rate, subtype="PCM_16")
        details = client.predict(handle_file(str(path)), "What is this?", api_name="/ask")[1]
        assert "padded" in details["audio"][0]["sentence"]


def test_a_cancelled_request_stops_the_model(served, clip):
    assistant, url = served
    assistant.step_seconds = 0.05
    client = Client(url, verbose=False)
    assistant.words = 400
    try:
        job = client.submit(handle_file(clip), "Why?", max_new_tokens=400, api_name="/ask")
        for text, _ in job:
            if text:
                break
        made = assistant.steps
        job.cancel()
        assert assistant.wait_until_idle(60)
        assert assistant.steps - made < 40
    finally:
        assistant.step_seconds, assistant.words = 0.005, 12


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 200),
        ("monitoring", 403),
        ("docs", 404),
        ("openapi.json", 404),
        ("gradio_api/file=/etc/passwd", 403),
    ],
)
def test_only_the_page_itself_is_served(served, path, status):
    assert httpx.get(served[1] + path).status_code == status


def test_a_path_on_the_server_is_no_recording(served):
    payload = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    data = [payload, "What is this?", 200, 0, 0.9, 0, "learned"]
    before = len(served[0].seen)
    call = httpx.post(f"{served[1]}gradio_api/call/ask", json={"data": data})
    assert call.status_code == 403
    assert call.json()["detail"].startswith("The call names a file that was not uploaded here")
    assert len(served[0].seen) == before


def test_an_upload_over_the_limit_is_refused(served):
    files = {"files": ("large.wav", b"0" * 3_000_000)}
    assert httpx.post(f"{served[1]}gradio_api/upload", files=files).status_code == 413


def test_visitors_see_what_the_model_was_trained_on_and_not_the_rest_of_its_card():
    card = FakeAssistant.card
    assert card_section(card, "Trained on") == "**Trained on**\n\nNothing, see here."
    assert card_section(card, "What it cannot do") == ""
    assert card_section("", "Trained on") == ""


def test_what_the_model_is_told_in_text_can_be_chosen_and_is_shown(events):
    fake = events.assistant
    conversation, _ = ask(events, Conversation(), None, "Hello?", (*GREEDY[:-1], ["events"]))
    assert fake.told[-1] == ("events",)
    reply = conversation.replies[-1]
    assert reply.hints == ("events",)
    assert conversation.to_dict()["turns"][-1]["hints"] == ["events"]
    lines = ("Length: 2.0 s.\nSounds: a dog barking 0.1-0.9 s.",)
    audio = ({"name": "a.wav", "sentence": "a.wav: 2.00 s."},)
    facts = answer_facts(replace(reply.answer, hints=lines, audio=audio), reply.sampling, "learned")
    assert ["Told in text: a.wav", lines[0]] in facts["lines"]
    apart = replace(reply.answer, hints=lines * 2, audio=audio)
    shown_lines = answer_facts(apart, reply.sampling, "learned")["lines"]
    assert shown_lines.count(["Told in text: a.wav", lines[0]]) == 2
    assert "About voices" not in dict(shown_lines)
    voiced = replace(reply.answer, hints=(f"{lines[0]}\nVoice: a man.",), audio=audio)
    notice = dict(answer_facts(voiced, reply.sampling, "learned")["lines"])["About voices"]
    assert "nothing to decide about people by" in notice
    assert "at most 60 minutes" in notice


def test_feelings_are_off_until_they_are_ticked(tmp_path):
    fake = FakeAssistant()
    fake.hints = (*fake.hints, "emotion")
    app = ui.build_app(fake, tmp_path)
    boxes = [one for one in app.blocks.values() if getattr(one, "elem_id", "") == "hints"]
    assert [one.value for one in boxes] == [["transcript", "events", "voice"]]
    assert "CC BY-NC-SA 4.0" in boxes[0].info
    plain = ui.build_app(FakeAssistant(), tmp_path)
    (box,) = [one for one in plain.blocks.values() if getattr(one, "elem_id", "") == "hints"]
    assert "RAVDESS" not in box.info
