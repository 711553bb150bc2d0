"""The audio of conversations: within one budget, the longest idle goes first and is asked for."""

import json
import tracemalloc
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import soundfile
from fakes import FakeAssistant
from gradio.state_holder import StateHolder
from serving import write_tone

from mowe.audio import load_audio
from mowe.errors import ConfigError
from mowe.ui.ask import conversation as conversations
from mowe.ui.ask.conversation import Conversation
from mowe.ui.ask.handlers import AskEvents
from mowe.ui.ask.kept_audio import AudioBudget

GREEDY = (200, 0.0, 0.9, 0, "learned", ["transcript"])
SECOND = 16_000 * 2  # bytes of a second as it is kept
LET_GO = "had to make room for other recordings; attach the same file again"


def events_with(seconds: float) -> AskEvents:
    """Handlers whose budget holds so many seconds."""
    return AskEvents(FakeAssistant(step_seconds=0.0), AudioBudget(round(seconds * SECOND)))


def begin(events, conversation, audio, question="What sound is this?"):
    return events.begin(conversation, 0, False, audio, (), [], question)[0]


def ask(events, conversation, audio, question="What sound is this?"):
    """One whole turn, as the page makes it; the conversation after it."""
    *_, last = events.answer(begin(events, conversation, audio, question), 0, *GREEDY)
    return events.settle(last[0], 0, None, (), [], "")[0]


def kept(conversation) -> list[bool]:
    """Which recordings still have their samples."""
    return [one.compact is not None for one in conversation.recordings]


@pytest.fixture
def clip(tmp_path):
    """Makes a tone of so many seconds; each sounds different."""
    made = iter(range(100))

    def make(seconds=2.0, rate=16_000):
        number = next(made)
        path = tmp_path / f"{number}.wav"
        return str(write_tone(path, seconds, hertz=200.0 + 10 * number, rate=rate))

    return make


def test_nine_small_files_of_long_silence_stay_within_the_budget(tmp_path):
    path, events = tmp_path / "silence.flac", events_with(50)
    soundfile.write(path, np.zeros(16_000 * 20, dtype=np.int16), 16_000)
    assert path.stat().st_size < 5_000
    visitors = [ask(events, Conversation(), str(path))]
    tracemalloc.start()
    try:
        for _ in range(8):
            visitors.append(ask(events, Conversation(), str(path)))
            events.assistant.seen.clear()  # the fake remembers what it heard
            assert events.budget.bytes_held <= 50 * SECOND
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [kept(one) for one in visitors] == [[False]] * 7 + [[True]] * 2
    assert events.budget.bytes_held == 40 * SECOND
    assert grown < 50 * SECOND + 1_000_000  # text and charts of eight visitors


def test_the_longest_idle_goes_first_whoever_came_first(clip):
    events = events_with(4.5)
    first, second = (ask(events, Conversation(), clip()) for _ in range(2))
    events.show(first, 0)
    third = ask(events, Conversation(), clip())
    assert [kept(one) for one in (first, second, third)] == [[True], [False], [True]]


def test_only_as_much_goes_as_is_needed(clip):
    events = events_with(6)
    both = ask(events, ask(events, Conversation(), clip(1)), clip(3))
    other = ask(events, Conversation(), clip(3))
    assert (kept(both), kept(other)) == ([False, True], [True])
    assert events.budget.bytes_held == 6 * SECOND


def test_what_is_being_answered_is_never_let_go(clip):
    events = events_with(2)
    answered = begin(events, ask(events, Conversation(), clip(1)), clip(1))
    updates = events.answer(answered, 0, *GREEDY)
    next(updates)
    other = ask(events, Conversation(), clip(1))
    assert (kept(answered), kept(other)) == ([True, True], [False])
    updates.close()
    third = ask(events, Conversation(), clip(1))
    assert (kept(answered), kept(third)) == ([False, True], [True])


def test_a_visitor_is_told_what_was_let_go_and_loses_nothing_else(clip):
    events = events_with(2)
    mine = ask(events, Conversation(), clip(2))
    before = events.settle(mine, 0, None, (), [], "")
    ask(events, Conversation(), clip(2))
    for use in (
        lambda: begin(events, mine, None, "And who?"),
        lambda: events.retract(mine, 0, False, 0.0, 0),
    ):
        with pytest.raises(gr.Error) as caught:
            use()
        assert caught.value.message.startswith(f"0.wav {LET_GO} to go on, or press Clear")
        assert caught.value.message.count(".") == 2  # that of the name, and of the sentence
    after = events.settle(mine, 0, None, (), [], "")
    assert after[2] == before[2]
    saved = [json.loads(Path(one[-1].value["path"]).read_text()) for one in (before, after)]
    assert saved[0] == saved[1]
    chart, table, figure, _ = events.show(mine, 0)
    assert chart.visible
    assert len(table.value["data"]) == 5
    assert figure.value is not None  # drawn from the upload


def test_the_same_file_attached_again_takes_its_old_place(clip):
    events, paths = events_with(4), (clip(2), clip(2))
    mine = ask(events, ask(events, Conversation(), paths[0]), paths[1])
    other = ask(events, Conversation(), clip(4))
    assert (kept(mine), kept(other)) == ([False, False], [True])
    with pytest.raises(gr.Error, match=r"'0\.wav and 1\.wav had to make room"):
        begin(events, mine, None)
    with pytest.raises(gr.Error, match=r"'0\.wav had to make room"):
        begin(events, mine, paths[1])
    again = events.begin(mine, 0, False, paths[0], (), [], "Which is higher?")[0]
    assert (kept(again), kept(other)) == ([True, True], [False])
    *_, last = events.answer(again, 0, *GREEDY)
    turns, *_ = events.assistant.seen[-1]
    heard = [[one.name for one in turn.recordings] for turn in turns]
    assert heard == [["0.wav"], [], ["1.wav"], [], []]
    assert last[0].replies[-1].answer.finished


def test_the_question_is_heard_as_uploaded_and_a_follow_up_as_kept(clip):
    events = events_with(60)
    waiting = begin(events, Conversation(), clip(2, rate=44_100))
    (own,) = waiting.recordings
    assert (own.compact.sample_rate, own.compact.stored.dtype) == (16_000, np.int16)
    *_, last = events.answer(waiting, 0, *GREEDY)
    ask(events, last[0], None, "And why?")
    heard = [turns[0].recordings[0] for turns, *_ in events.assistant.seen]
    assert [one.sample_rate for one in heard] == [44_100, 16_000]
    assert len({one.content_hash for one in heard}) == 1


def test_a_question_whose_upload_was_removed_is_heard_as_kept(clip):
    events, path = events_with(60), clip(2, rate=44_100)
    waiting = begin(events, Conversation(), path)
    Path(path).unlink()
    list(events.answer(waiting, 0, *GREEDY))
    assert events.assistant.seen[-1][0][0].recordings[0].sample_rate == 16_000
    other = begin(events, Conversation(), clip(59))
    assert (kept(waiting), kept(other)) == ([False], [True])
    with pytest.raises(gr.Error, match=LET_GO):
        list(events.answer(waiting, 0, *GREEDY))
    assert events.show(waiting, 0)[2].value is None


def test_what_a_visitor_may_keep_is_known_before_everything_is_read(clip, monkeypatch):
    monkeypatch.setattr(conversations, "MAX_SECONDS", 3.0)
    events, read = events_with(60), []
    really = events.uploads.load
    monkeypatch.setattr(events.uploads, "load", lambda path: read.append(path) or really(path))
    paths = tuple(clip(2) for _ in range(5))
    with pytest.raises(gr.Error, match="at most 0 are allowed, so press Clear"):
        events.begin(Conversation(), 0, False, None, paths, list("01234"), "What?")
    assert len(read) == 2


def test_clear_and_the_end_of_a_session_free_their_share(clip):
    events = events_with(60)
    with gr.Blocks() as app:
        state = gr.State(Conversation(), time_to_live=3600)
    holder = StateHolder()
    holder.set_blocks(app)
    for session in ("one", "two", "three"):
        holder[session][state._id] = ask(events, Conversation(), clip(2))
        holder[session][state._id].memory.put("window", "as heard", SECOND)
    events.assistant.seen.clear()
    events.assistant.memories.clear()
    assert events.budget.bytes_held == 9 * SECOND
    holder["one"][state._id] = events.clear(Conversation(), 0)[0]
    assert events.budget.bytes_held == 6 * SECOND
    holder.delete_state("two")  # what happens when its time is over
    assert events.budget.bytes_held == 3 * SECOND
    holder.capacity = 1
    for session in ("four", "five", "six"):  # more visitors than are remembered
        assert holder[session][state._id] == Conversation()
    assert events.budget.bytes_held == 0


def test_what_was_heard_counts_and_goes_before_any_recording_of_its_visitor(clip):
    events = events_with(5)
    mine, other = (ask(events, Conversation(), clip(2)) for _ in range(2))
    mine.memory.put("window", "as heard", 1 * SECOND)
    assert events.budget.bytes_held == 5 * SECOND
    third = ask(events, Conversation(), clip(1))
    assert (mine.memory.bytes_held, kept(mine), kept(other)) == (0, [True], [True])
    third.memory.put("window", "as heard", 1 * SECOND)
    events.show(third, 0)
    assert (kept(mine), kept(other), third.memory.bytes_held) == ([False], [True], SECOND)


def test_what_is_heard_for_an_answer_is_not_let_go_before_its_end(clip):
    events = events_with(4)
    answered = begin(events, Conversation(), clip(2))
    updates = events.answer(answered, 0, *GREEDY)
    next(updates)
    answered.memory.put("window", "as heard", 2 * SECOND)
    other = ask(events, Conversation(), clip(1))
    assert (answered.memory.bytes_held, kept(other)) == (2 * SECOND, [False])
    updates.close()
    ask(events, Conversation(), clip(1))
    assert answered.memory.bytes_held == 0


def test_every_conversation_has_its_own_memory_and_clear_begins_another(clip):
    events = events_with(60)
    mine = ask(events, Conversation(), clip(2))
    mine = ask(events, mine, None, "And why?")
    other = ask(events, Conversation(), clip(2))
    first, again, another = events.assistant.memories
    assert first is again is mine.memory
    assert another is other.memory
    assert another is not mine.memory
    assert events.clear(Conversation(), 0)[0].memory is not mine.memory


def test_calls_of_the_interface_leave_nothing_with_the_assistant(clip):
    events = events_with(60)
    for _ in range(2):
        list(events.ask(clip(2), "What?"))
        list(events.transcribe(clip(2)))
    given = events.assistant.memories
    assert None not in given
    assert len(set(map(id, given))) == len(given) == 4


def test_a_budget_needs_room():
    with pytest.raises(ConfigError, match="more than 0 bytes, found 0"):
        AudioBudget(0)


def test_a_recording_is_held_by_its_conversation_alone(clip):
    budget = AudioBudget(60 * SECOND)
    one = budget.keep(load_audio(clip(2)))
    assert budget.bytes_held == 2 * SECOND
    del one
    assert budget.bytes_held == 0
