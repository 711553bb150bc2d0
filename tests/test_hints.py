"""Speech as text: the decoder against transformers' own, the rules of its tokens, its guards."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import WhisperConfig, WhisperForConditionalGeneration

from mowe.audio import SAMPLE_RATE, load_audio
from mowe.config import HintsConfig
from mowe.encoders import build_encoder
from mowe.errors import ConfigError, WeightsError
from mowe.hints import Segment, Transcript, as_dict, build_hints, spelled
from mowe.hints.activity import WINDOW, WINDOW_SECONDS
from mowe.hints.decoder import WhisperDecoder, load_decoder
from mowe.hints.search import Search, Written, unlooped
from mowe.hints.subtitles import as_srt, as_txt, as_vtt
from mowe.hints.transcript import Activity, Transcriber, is_spoken, load_transcriber
from mowe.hints.vocabulary import byte_vocabulary, load_vocabulary
from mowe.presets import MINI

FIXTURES = Path(__file__).parent / "fixtures"
EXAMPLES = Path(__file__).parents[1] / "assets/examples"
WORDS = byte_vocabulary()


def saved_whisper(folder: Path) -> WhisperForConditionalGeneration:
    """A random Whisper in hub layout, without its tokenizer."""
    sizes = {"d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2}
    decoder = {"decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 48}
    tokens = {"vocab_size": 60, "pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 1}
    whisper = WhisperForConditionalGeneration(
        WhisperConfig(encoder_ffn_dim=64, init_std=0.3, **sizes, **decoder, **tokens)
    ).eval()
    whisper.save_pretrained(folder)
    return whisper


@torch.inference_mode()
def test_every_step_gives_the_scores_of_transformers_own_decoder(tmp_path):
    whisper = saved_whisper(tmp_path)
    decoder, frames = load_decoder(tmp_path), torch.randn(1, 9, 32)
    tokens = [7, 5, 3, 3, 41, 12]
    states = whisper.model.decoder(torch.tensor([tokens]), encoder_hidden_states=frames)
    expected = whisper.proj_out(states.last_hidden_state)[0]
    memory = decoder.hear(frames)
    stepped = [decoder(tokens[:1], 0, memory), decoder(tokens[1:4], 1, memory)]
    stepped += [decoder([token], 4 + place, memory) for place, token in enumerate(tokens[4:])]
    torch.testing.assert_close(torch.cat(stepped), expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_packed_decoder_keeps_its_scores_within_what_eight_bits_hold(tmp_path):
    saved_whisper(tmp_path)
    decoder, packed = load_decoder(tmp_path), load_decoder(tmp_path).pack()
    frames = torch.randn(1, 9, 32)
    exact, rounded = (one([7, 5, 3], 0, one.hear(frames)) for one in (decoder, packed))
    assert not torch.equal(exact, rounded)
    assert torch.cosine_similarity(exact, rounded, dim=-1).min() > 0.99


def test_a_folder_without_a_whisper_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
        load_decoder(tmp_path)
    (tmp_path / "config.json").write_text('{"d_model": 32}')
    with pytest.raises(WeightsError, match="lacks 'vocab_size'"):
        load_decoder(tmp_path)
    (tmp_path / "generation_config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"no tokenizer\.json"):
        load_vocabulary(tmp_path)


class Scripted(WhisperDecoder):
    """Scores that lead to the next token of a script, whatever is heard."""

    def __init__(self, script: list[int], *, language: str = "English", silence: float = 0.0):
        super().__init__(vocabulary=WORDS.size, dim=8, layers=1, heads=1, inner_dim=8)
        self.script, self.windows = script, 0
        self.language, self.silence = language, silence

    def hear(self, frames):
        self.windows += 1
        return super().hear(frames)

    def forward(self, tokens, start, memory):
        scores = torch.full((len(tokens), WORDS.size), -20.0)
        if start == 0:
            scores[0, WORDS.languages[self.language]] = 0.0
            scores[0, WORDS.silence] = self.silence
        elif start + len(tokens) - 3 < len(self.script):
            scores[-1, self.script[start + len(tokens) - 3]] = 0.0
        else:
            scores[-1, WORDS.end] = 0.0
        return scores


def time(seconds: float) -> int:
    return WORDS.first_time + round(seconds / 0.02)


def letters(text: str) -> list[int]:
    return WORDS._tokenizer.encode(text).ids


def written(script: list[int], **settings) -> Written:
    *_, last = Search(Scripted(script, **settings), WORDS).write(torch.zeros(1, 4, 8))
    return last


def test_what_is_written_begins_with_a_time_and_times_never_go_back():
    # wants a word first, then a time before the one that was written
    found = written([letters("a")[0], letters("b")[0], time(-0.5), letters("c")[0]]).tokens
    assert found[0] >= WORDS.first_time
    times = [token for token in found if token >= WORDS.first_time]
    assert times == sorted(times)


def test_segments_are_read_off_their_times():
    script = [time(0.4), *letters(" hi"), time(1.0), time(1.5), *letters(" yes"), time(2.0)]
    transcriber = Transcriber(Scripted(script), WORDS)
    *_, said = transcriber.write(lambda *_: torch.zeros(1, 4, 8), torch.ones(80))
    assert said.segments == (Segment(0.4, 1.0, "hi"), Segment(1.5, 2.0, "yes"))
    assert (said.text, said.language) == ("hi yes", "English")
    assert said.heard == pytest.approx(80 * WINDOW_SECONDS)


def test_text_grows_while_it_is_written():
    script = [time(0.0), *letters(" abc"), time(1.0)]
    transcriber = Transcriber(Scripted(script), WORDS)
    grown = [one.text for one in transcriber.write(lambda *_: torch.zeros(1, 4, 8), torch.ones(60))]
    assert [text for text in dict.fromkeys(grown) if text] == ["a", "ab", "abc"]


def test_a_loop_is_written_once():
    script = [time(0.0), *letters(" no" * 30)]
    assert WORDS.text(written(script).tokens).split() == ["no"]
    assert unlooped([1, 2, 3] + [7, 8, 9] * 5) == [1, 2, 3, 7, 8, 9]
    with pytest.raises(ValueError, match="do not end in a loop"):
        unlooped([1, 2, 3, 4])


def test_where_nobody_speaks_the_decoder_is_not_even_asked():
    decoder = Scripted([time(0.0), *letters(" made up"), time(1.0)])
    *_, said = Transcriber(decoder, WORDS).write(lambda *_: 1 / 0, torch.zeros(2000))
    assert (said.text, said.language, decoder.windows) == ("", "", 0)


def test_text_for_what_is_probably_no_speech_is_taken_back():
    fine = Written((), -0.3, 0.1, "English")
    unlikely, silent = fine._replace(log_probability=-1.2), fine._replace(silence=0.7)
    assert is_spoken(fine, speech=0.2, peak=0.8)
    assert not is_spoken(fine, speech=2.0, peak=0.7)  # nobody speaks at all
    assert not is_spoken(silent, speech=2.0, peak=0.9)  # the more doubtful, the more is asked
    assert is_spoken(silent, speech=0.2, peak=0.99)
    assert not is_spoken(unlikely, speech=0.9, peak=0.99)
    assert is_spoken(unlikely, speech=1.1, peak=0.99)
    assert not is_spoken(fine._replace(log_probability=-1.8), speech=9.0, peak=1.0)


def test_the_peak_of_speech_is_a_mean_of_its_five_likeliest_windows():
    activity = Activity(torch.tensor([0.1, 0.9, 1.0, 0.8, 0.1, 0.7, 0.6]))
    assert activity.peak(0.0, 1.0) == pytest.approx(0.8)
    assert activity.peak(0.0, 2 * WINDOW_SECONDS) == pytest.approx(0.5)


def test_a_foreign_language_is_believed_where_english_is_improbable():
    class Accented(Scripted):
        def forward(self, tokens, start, memory):
            scores = super().forward(tokens, start, memory)
            if start == 0:  # English has a share of 0.06
                scores[0, WORDS.languages["English"]] = math.log(0.06 / 0.94)
            return scores

    script = [time(0.0), *letters(" ja"), time(1.0)]
    foreign = Transcriber(Scripted(script, language="German"), WORDS)
    accented = Transcriber(Accented(script, language="German"), WORDS)
    languages = [
        list(one.write(lambda *_: torch.zeros(1, 4, 8), torch.ones(100)))[-1].language
        for one in (foreign, accented)
    ]
    assert languages == ["German", "English"]


class PerWindow(Scripted):
    """Another script for every window."""

    def __init__(self, *scripts: list[int]) -> None:
        super().__init__([])
        self.scripts = iter(scripts)

    def hear(self, frames):
        self.script = next(self.scripts)
        return super().hear(frames)


def test_a_long_recording_is_continued_where_its_last_whole_segment_ended():
    first = [time(0.0), *letters(" one"), time(12.0), time(12.0), *letters(" cut"), time(30.0)]
    second = [time(0.0), *letters(" whole"), time(28.0)]
    spans = []
    transcriber = Transcriber(PerWindow(first, second), WORDS)

    def encode(start, end):
        spans.append((round(start, 2), round(end, 2)))
        return torch.zeros(1, 4, 8)

    *_, said = transcriber.write(encode, torch.ones(1250))  # 40 s
    assert spans == [(0.0, 30.0), (12.0, 40.0)]
    assert said.segments == (Segment(0.0, 12.0, "one"), Segment(12.0, 40.0, "whole"))


def test_speech_behind_the_last_segment_is_heard_once_more():
    first = [time(0.0), *letters(" one"), time(5.0)]
    second = [time(0.0), *letters(" two"), time(4.0)]
    transcriber = Transcriber(PerWindow(first, second), WORDS)
    *_, said = transcriber.write(lambda *_: torch.zeros(1, 4, 8), torch.ones(300))  # 9.6 s
    assert said.segments == (Segment(0.0, 5.0, "one"), Segment(5.0, 9.0, "two"))


def test_a_window_that_is_one_segment_is_cut_in_its_longest_pause():
    endless = [time(0.0), *letters(" on and on"), time(30.0)]
    again = [time(0.0), *letters(" on"), time(25.0)]
    rest = [time(0.0), *letters(" and on"), time(14.4)]
    activity = torch.ones(1250)
    activity[780:800] = 0.0  # 24.96 to 25.6 s
    spans = []
    transcriber = Transcriber(PerWindow(endless, again, rest), WORDS)

    def encode(start, end):
        spans.append((start, end))
        return torch.zeros(1, 4, 8)

    *_, said = transcriber.write(encode, activity)
    (_, _), (_, cut), (start, _) = spans
    assert 25.0 < cut < 25.6
    assert cut <= start <= 25.6
    assert said.text == "on and on"


def test_silence_is_skipped_and_speech_begins_a_little_early():
    activity = Activity(torch.cat([torch.zeros(500), torch.ones(100), torch.zeros(400)]))
    assert activity.next_speech(0.0) == pytest.approx(500 * WINDOW_SECONDS - 0.5)
    assert activity.next_speech(16.5) == 16.5
    assert activity.next_speech(20.0) is None
    assert activity.speech(0.0, 32.0) == pytest.approx(3.2)


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="unknown language 'Klingon'; known are English"):
        next(
            Transcriber(Scripted([]), WORDS).write(
                lambda *_: None, torch.ones(9), language="Klingon"
            )
        )


@torch.inference_mode()
def test_languages_are_told_by_the_first_step_without_padding_or_batch_mates():
    transcriber = load_transcriber(None, 32)
    tell = transcriber.telling(["German", "English"])
    frames = torch.randn(2, 9, 32)
    told = tell(frames, torch.ones(2, 9).bool())
    alone = transcriber.search.languages(frames[:1])
    places = [transcriber.languages.index(name) for name in ("German", "English")]
    torch.testing.assert_close(told[0], alone[places].log_softmax(dim=-1))
    # fused frames begin with the base encoder's
    padded = torch.cat([functional.pad(frames[:1], (0, 16, 0, 5)), torch.randn(1, 14, 48)])
    mask = torch.arange(14) < torch.tensor([[9], [14]])
    torch.testing.assert_close(tell(padded, mask)[0], told[0], atol=1e-5, rtol=1e-4)
    with pytest.raises(ConfigError, match="knows no Klingon; it knows English"):
        transcriber.telling(["Klingon"])


SAID = Transcript(
    (Segment(0.0, 1.5, "Fish & <b>chips</b>"), Segment(3661.25, 3662.0, "a --> b")), "English", 3662
)


def test_subtitles_are_what_players_read():
    assert as_txt(SAID) == "Fish & <b>chips</b>\na --> b\n"
    assert as_srt(SAID) == (
        "1\n00:00:00,000 --> 00:00:01,500\nFish & <b>chips</b>\n\n"
        "2\n01:01:01,250 --> 01:01:02,000\na → b\n"
    )
    assert as_vtt(SAID) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nFish &amp; &lt;b&gt;chips&lt;/b&gt;\n\n"
        "01:01:01.250 --> 01:01:02.000\na → b\n"
    )
    assert as_dict(SAID)["segments"][1] == {"start": 3661.25, "end": 3662.0, "text": "a --> b"}


def test_strings_of_digits_are_spelt_and_other_numbers_left():
    assert spelled("5, 7, 3, 6, 0, 2,") == "five seven three six zero two,"
    assert spelled("573-602") == "five seven three six zero two"
    assert spelled("7") == "seven"
    assert spelled("Call 555 0123 now.") == "Call five five five zero one two three now."
    assert spelled("In 1984 I had 12 apples.") == "In 1984 I had 12 apples."
    assert spelled("") == ""
    assert spelled("one\n\nSounds: a dog 1 2") == "one Sounds: a dog 1 2"


def test_a_text_between_two_times_is_that_of_the_segments_in_it():
    assert SAID.part(0.0, 30.0).text == "Fish & <b>chips</b>"
    assert SAID.part(30.0, 60.0).text == ""
    assert SAID.part(3600.0, 3690.0).segments[0][:2] == (61.25, 62.0)  # from its own beginning


@pytest.fixture(scope="module")
def real():
    """The shipped hints and the base encoder, with their real weights."""
    from mowe import weights

    sources = (MINI.hints.transcript, MINI.hints.activity, MINI.base_encoder.source)
    folders = {source: weights.resolve(source) for source in sources}
    hints = build_hints(MINI.hints, folders, 0)
    hints.transcriber.search.decoder.pack()
    encoder = build_encoder(MINI.base_encoder, folders[MINI.base_encoder.source]).eval()

    def said(path, **settings):
        samples = path if isinstance(path, torch.Tensor) else None
        if samples is None:
            samples = torch.from_numpy(load_audio(path).at(SAMPLE_RATE))
        *_, transcript = hints.write(encoder, samples, **settings)
        return transcript

    said.hints = hints
    return said


@pytest.mark.parametrize(
    ("clip", "language", "words"),
    [
        ("speech-prompt.flac", "English", "your call is now first in line"),
        ("speech-game.flac", "English", "my uncle co-owns this hotel with anderson"),
        ("angry-german.flac", "German", "der lappen liegt auf dem eisschrank"),
        ("speech-french.flac", "French", "que vous tentez de joindre"),
    ],
)
def test_real_speech_is_written_down_in_its_language(real, clip, language, words):
    transcript = real(EXAMPLES / clip)
    assert words in transcript.text.lower()
    assert transcript.language == language
    assert all(0 <= one.start < one.end <= transcript.heard + 0.04 for one in transcript.segments)


def test_french_is_translated_into_english(real):
    assert "number" in real(EXAMPLES / "speech-french.flac", translate=True).text.lower()


def test_two_minutes_are_written_down_to_their_end_without_a_word_twice(real):
    transcript = real(EXAMPLES / "speech-long.ogg")
    words = transcript.text.lower().split()
    assert "it represents the gods that have visited us throughout time." in transcript.text.lower()
    assert len(transcript.segments) > 10
    assert transcript.segments[-1].end > 50
    assert not any(words[i : i + 6] == words[i + 6 : i + 12] for i in range(len(words)))


NOT_SPEECH = ("dog.ogg", "rain.ogg", "rooster.ogg", "dog-rain.ogg", "sneeze-chainsaw.ogg")


@pytest.mark.parametrize("clip", NOT_SPEECH)
def test_nothing_is_made_up_for_sounds(real, clip):
    assert real(EXAMPLES / clip) == Transcript(heard=real(EXAMPLES / clip).heard)


@pytest.mark.parametrize("clip", ["music_drums_one", "music_guitar_two", "sound_rain_one"])
def test_nothing_is_made_up_for_music_and_rain(real, clip):
    assert real(FIXTURES / f"{clip}.ogg").text == ""


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.05, 0.5])
def test_nothing_is_made_up_for_silence_and_hiss(real, level):
    assert real(level * torch.randn(8 * SAMPLE_RATE).clamp(-1, 1)).text == ""


def test_speech_is_told_from_silence_in_time(real):
    speech = torch.from_numpy(load_audio(EXAMPLES / "speech-prompt.flac").at(SAMPLE_RATE))
    likely = real.hints.activity(torch.cat([torch.zeros(4 * SAMPLE_RATE), speech]))
    begins = 4 * SAMPLE_RATE // WINDOW
    assert likely[: begins - 2].max() < 0.3
    assert (likely[begins:] > 0.5).float().mean() > 0.7


def test_without_sources_there_are_no_hints():
    hints = build_hints(HintsConfig(), {}, 8)
    assert (hints.transcriber, hints.activity) == (None, None)
    assert list(hints.write(None, torch.zeros(9))) == [Transcript()]
