"""What is known of a clip for models that hear rather than answer: sounds in time, whose voice."""

from collections.abc import Mapping, Sequence
from typing import Any

from corpus.clips import Clip
from corpus.sounds import MUSIC, SOUNDS

SPEECH, SINGING, MUSIC_PLAYS, SOUND = ("speech", "singing", "music", "sound")
# coarse kinds: of a sound that has no name this much may be told
_LABELS: Mapping[str, str] = {
    "human": """applause|baby cry|cheering|cry of pain|footsteps|gasp|hand clap|kiss|laughter|
        person sneeze|scream|whistling""",
    "animal": """bird|cat|chicken|cow|dog bark|dragon|elephant|horse|insects|monster|pig|rabbit|
        rooster|sheep|snake|wings|wolf""",
    "vehicle": """airplane|engine|helicopter|rocket|ship horn|traffic|train|level crossing|
        car horn""",
    "tool": """blowtorch|chainsaw|chopping wood|digging|drill|hammer|jackhammer|machine|pickaxe|
        saw|steam""",
    "water": "bubbles|rain|sea waves|splash|toilet flush|water",
    "nature": "falling rocks|falling tree|fire crackling|lava|thunder|wind|whoosh",
    "alarm": "alarm clock|beep|bell|doorbell|siren|telephone",
    "weapon": """bow|catapult|club|electric spark|explosion|flamethrower|fuse|gunshot|laser gun|
        punch|reloading|ricochet|spell|sword|whip""",
    "object": """balloon pop|billiard balls|breaking glass|camera|cards|cash register|chest|
        clock tick|coins|door|keyboard click|metal clank|rubber duck|static|toaster""",
}
KIND: Mapping[str, str] = {
    **{label.strip(): kind for kind, some in _LABELS.items() for label in some.split("|")},
    **dict.fromkeys(MUSIC, "music"),
}
# what is no label of a sound: its name, and its kind
_OTHERS: Mapping[str, tuple[str, str]] = {
    "speech": ("somebody speaking", "human"),
    "noise": ("noise", "nature"),
    "music": ("music", "music"),
}

HeardRow = tuple[str, str, float | None, float | None]  # name, kind, start and end in s


def facts_of(clip: Clip) -> dict[str, Any]:
    """Fields of a manifest line: `heard`, `gender` and `content`, where they are known.

    `heard` lists everything that sounds, in rows of name, kind, start and end; where start and end
    are null, it sounds somewhere in the clip.
    """
    facts: dict[str, Any] = {"gender": clip.gender} if clip.gender else {}
    rows = _rows(clip)
    if rows is not None:
        facts["heard"] = [list(row) for row in rows]
    content = _content(rows or [])
    return facts | ({"content": content} if content else {})


def _rows(clip: Clip) -> list[HeardRow] | None:
    """None where not all that sounds is known."""
    if clip.events:
        return [_row(*one) for one in clip.events]
    if "labels" in clip.notes:
        return None  # of a mixed clip the times would be known
    guard = next((ask.label for ask in clip.asks if ask.task == "guard"), "")
    if guard:
        return [] if guard == "silence" else [_row(guard)]
    if clip.label:
        return [_row(clip.label)]
    return [_row("speech")] if _is_spoken(clip) else None


def _row(label: str, start: float | None = None, end: float | None = None) -> HeardRow:
    name, kind = _OTHERS.get(label) or (SOUNDS[label].noun, KIND[label])
    return name, kind, start, end


def _is_spoken(clip: Clip) -> bool:
    return bool(clip.language or clip.text or clip.emotion)


def _content(rows: Sequence[HeardRow]) -> str:
    """What a clip holds as a whole; empty of a mixed one."""
    kinds = {"speech" if name == "somebody speaking" else kind for name, kind, *_ in rows}
    if len(kinds) != 1:
        return ""
    if any(name == SOUNDS["choir"].noun for name, *_ in rows):
        return SINGING
    return {"speech": SPEECH, "music": MUSIC_PLAYS}.get(kinds.pop(), SOUND)
