"""Questions that the labels of clips answer, drawn so that a question alone tells nothing.

Yes and no are drawn in pairs: two clips of one split are asked the same thing, which holds for the
first and not for the second. So every word, digit and sound is answered yes as often as no.
"""

import itertools
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from corpus import further_sounds, wording
from corpus.clips import Ask, Clip
from corpus.lines import PARTS, Rendered
from corpus.prompts import prompt_questions
from corpus.sounds import ANIMALS, MUSIC, SOUNDS
from corpus.splits import SPLITS
from corpus.wording import CANNOT_TELL, NUMBERS, ORDINALS, TASKS, one_of

RenderedAsk = tuple[Rendered, Ask]

# most questions of a kind in a split
MOST: Mapping[str, int] = {"train": 500, "dev": 80, "test": 80}
TURNS_SHARE = 0.1  # of clips that also get a conversation of two turns
WORDS = (4, 20)  # words in a line whose words are asked for, both included
# labels of one group may both be true of a clip: no is never the answer to one about another
ALIKE: tuple[frozenset[str], ...] = tuple(
    map(
        frozenset,
        (
            ("rain", "sea waves", "water", "splash", "wind", "thunder"),
            ("gunshot", "explosion", "thunder"),
            ("engine", "helicopter", "chainsaw", "machine"),
            ("breaking glass", "sword", "bell", "cymbal"),
            ("baby cry", "cry of pain", "laughter", "choir"),
            ("clock tick", "keyboard click", "camera"),
            ("phone", "bell"),
            ("dog bark", "wolf"),
            ("footsteps", "door"),
            ("sword", "bow"),
            ("drum", "cymbal", "steel drum"),
            ("hammer", "sword", "machine", "door", "gunshot"),
            ("guitar", "acoustic guitar", "electric guitar", "bass guitar", "banjo"),
            ("glockenspiel", "xylophone", "bell"),
            *further_sounds.ALIKE,
        ),
    )
)
_COMMON = frozenset(
    re.findall(
        r"\S+",
        """
        about after again also another anything around because been before being cannot come
        could does doing done down each even ever every from give goes going gonna have
        having here into itself just know like little look made make many maybe more most
        much must never nothing only other over really said same should some something still
        such than that that's them then there there's these they they're thing things think
        this those through very want well were what what's when where which while will with
        won't would your you're yours
        """,
    )
)


def may_both_hold(first: str, second: str) -> bool:
    """Whether two sound labels are the same or hard to tell apart."""
    return first == second or any(first in group and second in group for group in ALIKE)


def further_questions(clips: Sequence[Rendered]) -> dict[str, list[tuple[str, Ask]]]:
    """Questions drawn for clips, by `Rendered.key`, each with the end of its line's id."""
    found: dict[str, list[tuple[str, Ask]]] = defaultdict(list)
    for split in SPLITS:
        part = [one for one in clips if one.clip.split == split and one.audio]
        for kind, draw in KINDS.items():
            number: Counter[str] = Counter()
            for one, ask in draw(ordered(part, kind), MOST[split]):
                name = f"{ask.task}/{kind}" + (f"-{number[one.key]}" if number[one.key] else "")
                number[one.key] += 1
                found[one.key].append((name, ask))
    return found


def ordered(clips: Iterable[Rendered], kind: str) -> list[Rendered]:
    """Clips in an order that looks random and is the same in every build."""
    return sorted(clips, key=lambda one: random.Random(f"{kind} {one.key}").random())


def pairs(
    clips: Iterable[Rendered], shared: Callable[[Rendered, Rendered], str], most: int
) -> Iterator[tuple[Rendered, Rendered, str]]:
    """Pairs of different clips, and what holds for the first and not for the second.

    Args:
        clips: Each is used once at most.
        shared: What may be asked of both, or an empty string.
        most: Most pairs.
    """
    waiting: list[Rendered] = []
    for clip in clips:
        for other in waiting:
            asked = shared(other, clip)
            if asked:
                waiting.remove(other)
                most -= 1
                yield other, clip, asked
                break
        else:
            waiting.append(clip)
        if most <= 0:
            return


def _draw(clip: Rendered, kind: str) -> random.Random:
    return random.Random(f"{clip.key} {kind}")


def _yes_no(task: str, question: str, holds: bool) -> Ask:
    answer, label = ("Yes.", "yes") if holds else ("No.", "no")
    return Ask(task=task, turns=((question, answer),), label=label, options=("yes", "no"))


def _both(
    clips: Iterable[Rendered],
    most: int,
    task: str,
    questions: Sequence[str],
    shared: Callable[[Rendered, Rendered], str],
    fill: Callable[[str], dict[str, str]],
) -> Iterator[RenderedAsk]:
    """Yes for one clip and no for another, in the same words."""
    for first, second, asked in pairs(clips, shared, most // 2):
        question = _draw(first, asked).choice(questions).format(**fill(asked))
        yield first, _yes_no(task, question, True)
        yield second, _yes_no(task, question, False)


# --- sounds -------------------------------------------------------------------------------------


def sound_labels(clip: Clip) -> list[str]:
    """Every sound that is heard in a clip; none for speech."""
    if clip.notes.get("labels"):
        return clip.notes["labels"].split(PARTS)
    return [clip.label] if clip.label and "sound" in clip.tasks else []


def is_speech(clip: Clip) -> bool:
    """Whether somebody is known to speak."""
    return bool(clip.language or "emotion" in clip.tasks or "speech" in clip.notes)


def _no_voice(clip: Clip) -> bool:
    labels = sound_labels(clip)
    return bool(labels) and not is_speech(clip) and not {*labels} & wording.VOICES


def _presence(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    def shared(first: Rendered, second: Rendered) -> str:
        there, other = sound_labels(first.clip), sound_labels(second.clip)
        fit = [one for one in there if not any(may_both_hold(one, label) for label in other)]
        return _draw(first, "presence").choice(fit) if fit else ""

    heard = [one for one in clips if sound_labels(one.clip)]
    return _both(
        heard,
        2 * most,
        "presence",
        wording.PRESENCE,
        shared,
        lambda label: {"noun": SOUNDS[label].noun},
    )


def _speaking(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    speech = [one for one in clips if is_speech(one.clip)]
    silent = [one for one in clips if _no_voice(one.clip)]
    pairs = min(len(speech), len(silent), most // 4)
    for yes, no in zip(speech[:pairs], silent[:pairs], strict=True):
        question = _draw(yes, "speaking").choice(wording.SPEAKING)
        yield yes, _yes_no("presence", question, True)
        yield no, _yes_no("presence", question, False)


# --- words --------------------------------------------------------------------------------------


def words_of(clip: Clip) -> list[str]:
    """The words of a line in small letters."""
    return re.findall(r"[a-z]+(?:'[a-z]+)*", clip.text.lower())


def _spoken(clips: Iterable[Rendered]) -> list[Rendered]:
    return [
        one
        for one in clips
        if one.clip.language == "English"
        and "transcribe" in one.clip.tasks
        and "digits" not in one.clip.notes
        and WORDS[0] <= len(words_of(one.clip)) <= WORDS[1]
    ]


def content_words(clip: Clip) -> list[str]:
    """Words worth asking for."""
    return sorted({word for word in words_of(clip) if len(word) > 3} - _COMMON)


def _missing(word: str, clip: Clip) -> bool:
    return not any(word in other or other in word for other in words_of(clip) if len(other) > 2)


def _mention(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    def shared(first: Rendered, second: Rendered) -> str:
        fit = [word for word in content_words(first.clip) if _missing(word, second.clip)]
        return _draw(first, "mention").choice(fit) if fit else ""

    return _both(
        _spoken(clips), most, "mention", wording.MENTION, shared, lambda word: {"word": word}
    )


def _edge_words(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    """First or last word; no word is the answer to more than a twentieth of the questions."""
    used: Counter[str] = Counter()
    spoken = _spoken(clips)
    most = min(most, len(spoken))
    for number, one in enumerate(spoken):
        place, questions = ((0, wording.FIRST_WORD), (-1, wording.LAST_WORD))[number % 2]
        word = words_of(one.clip)[place]
        if used.total() < most and used[f"{place} {word}"] < max(1, most // 40):
            used[f"{place} {word}"] += 1
            question = _draw(one, "edge").choice(questions)
            turns = ((question, wording.capitalized(word)),)
            yield one, Ask(task="mention", turns=turns, label=word)


def _which_word(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    """Three lines are asked for the same three words, each the answer once."""
    spoken = [one for one in _spoken(clips) if content_words(one.clip)][:most]
    spoken = spoken[: len(spoken) // 3 * 3]
    for three in zip(spoken[::3], spoken[1::3], spoken[2::3], strict=True):
        words = [_draw(one, "which").choice(content_words(one.clip)) for one in three]
        others = ((w, o) for w, here in zip(words, three, strict=True) for o in three if o != here)
        if all(_missing(word, other.clip) for word, other in others):
            for one, word in zip(three, words, strict=True):
                rng = _draw(one, "options")
                options = rng.sample(words, 3)
                question = rng.choice(wording.WHICH_WORD).format(options=one_of(options))
                turns = ((question, wording.capitalized(word)),)
                yield one, Ask(task="mention", turns=turns, label=word, options=tuple(options))


# --- digits and keys ----------------------------------------------------------------------------


def _digit_strings(clips: Iterable[Rendered]) -> list[Rendered]:
    return [one for one in clips if one.clip.notes.get("digits")]


def _digit(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    for number, one in enumerate(_digit_strings(clips)[:most]):
        rng, digits = _draw(one, "digit"), [int(digit) for digit in one.clip.notes["digits"]]
        if number % 3 == 0:
            question, answer = rng.choice(wording.HOW_MANY_DIGITS), len(digits)
        else:
            place = rng.randrange(len(digits))
            last = place == len(digits) - 1
            texts = wording.LAST_DIGIT if last else wording.NTH_DIGIT
            question = rng.choice(texts).format(place=ORDINALS[place])
            answer = digits[place]
        word = NUMBERS[answer]
        accept = (f"{answer}.",)
        turns = ((question, wording.capitalized(word)),)
        yield one, Ask(task="digits", turns=turns, label=word, accept=accept)


def _has_digit(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    def shared(first: Rendered, second: Rendered) -> str:
        fit = sorted({*first.clip.notes["digits"]} - {*second.clip.notes["digits"]})
        return NUMBERS[int(_draw(first, "has").choice(fit))] if fit else ""

    strings = _digit_strings(clips)
    return _both(strings, most, "digits", wording.HAS_DIGIT, shared, lambda digit: {"digit": digit})


def _prompts(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    spoken = (one for one in clips if "transcribe" in one.clip.tasks)
    asked = ((one, ask) for one in spoken for ask in prompt_questions(one.clip))
    return itertools.islice(asked, most)


# --- what the audio leaves open -----------------------------------------------------------------


def _refusal(question: str, answers: Sequence[str], rng: random.Random) -> Ask:
    answer = rng.choice(answers)
    known = (*wording.PERSONAL_ANSWERS, *answers)
    accept = tuple(dict.fromkeys(other for other in known if other != answer))
    return Ask(task="unanswerable", turns=((question, answer),), label=CANNOT_TELL, accept=accept)


def _unanswerable(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    voices = (
        *wording.TRANSCRIBE,
        *wording.LANGUAGE,
        *wording.GENDER,
        *(text for text in wording.EMOTION if "{" not in text),
    )
    silent = [one for one in clips if "sound" in one.clip.tasks and _no_voice(one.clip)]
    for one in silent[:most]:
        rng = _draw(one, "unanswerable")
        yield one, _refusal(rng.choice(voices), wording.NO_SPEECH, rng)
    speech = [one for one in clips if is_speech(one.clip) and not sound_labels(one.clip)]
    for one in speech[:most]:
        rng = _draw(one, "unanswerable")
        questions, answers = rng.choice(
            (
                (wording.PERSONAL, wording.PERSONAL_ANSWERS),
                (wording.INSTRUMENT, wording.NO_INSTRUMENT),
                (wording.ANIMAL, wording.NO_ANIMAL),
            )
        )
        yield one, _refusal(rng.choice(questions), answers, rng)


def _answerable(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    """The same questions about instruments and animals where there is one."""
    for labels, questions in ((MUSIC, wording.INSTRUMENT), (ANIMALS, wording.ANIMAL)):
        fit = [one for one in clips if "sound" in one.clip.tasks and one.clip.label in labels]
        for one in fit[: most // 3]:
            sound = SOUNDS[one.clip.label]
            turns = ((_draw(one, "kind").choice(questions), sound.answer),)
            accept = tuple({wording.capitalized(sound.noun)} - {sound.answer})
            yield one, Ask(task="sound", turns=turns, label=one.clip.label, accept=accept)


# --- conversations ------------------------------------------------------------------------------


def _two_turns(clips: Sequence[Rendered], most: int) -> Iterator[RenderedAsk]:
    """Two questions about a clip, one after the other; the second counts."""
    count = min(round(TURNS_SHARE * len(clips)), 2 * most)
    for one in clips[:count]:
        rng, clip = _draw(one, "turns"), one.clip
        tasks = [task for task in clip.tasks if task in ("gender", "emotion", "language")]
        if "transcribe" in clip.tasks and tasks:
            order = rng.sample(["transcribe", rng.choice(tasks)], 2)
            first, second = (TASKS[task].ask(clip, task, rng) for task in order)
        elif "sound" in clip.tasks and _no_voice(clip):
            first = _yes_no("presence", rng.choice(wording.SPEAKING), False)
            second = TASKS["sound"].ask(clip, "sound", rng)
        else:
            continue
        yield (
            one,
            Ask(
                task=second.task,
                turns=(*first.turns, *second.turns),
                label=second.label,
                accept=second.accept,
                options=second.options,
            ),
        )


KINDS: Mapping[str, Callable[[Sequence[Rendered], int], Iterator[RenderedAsk]]] = {
    "heard": _presence,
    "speaking": _speaking,
    "said": _mention,
    "edge": _edge_words,
    "which": _which_word,
    "digit": _digit,
    "has": _has_digit,
    "key": _prompts,
    "open": _unanswerable,
    "kind": _answerable,
    "turns": _two_turns,
}
