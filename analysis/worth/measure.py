"""The worth of weak encoders: what each does for the right answers to the lines of a manifest.

The log-likelihood of the right answer, and of the label by its head, under the learned routing,
with one encoder forced, masked or replaced by its twin with random weights, and with none. Only the
paper's path is heard: no transcript and no name is told.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mowe.analysis.worth.heads import label_score
from mowe.assistant import Assistant
from mowe.audio import Recording
from mowe.checkpoint import MoWE
from mowe.data.ledger import Ledger, Row, read_ledger
from mowe.data.manifest import Example, read_manifest
from mowe.data.sampling import by_task, limited
from mowe.encoders import AudioEncoder, random_twin
from mowe.errors import AudioError, ConfigError, ManifestError, QuestionError, RecordsError
from mowe.model import AudioBatch, Features, Heard, make_batch
from mowe.model.control import RoutingControl
from mowe.model.language_model import AUDIO_MARK, Message

FORMAT, VERSION = "mowe-worth", 2
READABLE = (1, VERSION)  # the first has neither twins nor heads
BY = "worth"  # whose rows they are, in the ledger
LEARNED, NO_WEAK, FORCED, MASKED, TWIN = "learned", "no weak", "forced", "masked", "twin"
_DIGITS = 4  # of nats

Key = tuple[str, str]  # kind and encoder
Controls = Mapping[Key, RoutingControl | None]
Twins = Mapping[str, AudioEncoder]


@dataclass(frozen=True)
class WorthTable:
    """What `mowe worth` measured.

    A row has `id`, `task`, `source`, `recording`, `audio`, `question`, `tokens` of the right
    answer, the encoders `chosen` by either router in any window, `learned`, the log-likelihood of
    the right answer (nats), and its changes: `no_weak`, and by encoder `forced`, `masked` and
    `twin`, replaced by random weights under the learned routing. `head` has the same of the
    label's head, None where there is none. A file of version 1 lacks `twin` and `head`.
    """

    rows: list[Row]
    encoders: tuple[str, ...]
    preset: str


def lines_to_measure(
    manifest: Path, *, split: str = "dev", limit: int | None = None, seed: int = 0
) -> list[Example]:
    """The lines of a split that have a recording; of more than `limit` of a task, a draw.

    A larger limit holds the lines of a smaller one, so that a file can grow.

    Raises:
        ConfigError: If the limit is below 1.
        ManifestError: If the manifest is wrong, or no line of the split has a recording.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit must be at least 1, found {limit}")
    lines = [one for one in read_manifest(manifest, split=split) if one.audio is not None]
    if not lines:
        raise ManifestError(f"{manifest.name} holds no recording of split {split!r}")
    drawn = limited(by_task(lines), limit or 0, seed)
    return [one for group in drawn.values() for one in group]


def routings(encoder_names: Sequence[str]) -> Controls:
    """The learned routing, none, and each encoder forced, masked and replaced by its twin.

    Raises:
        ConfigError: If there is no weak encoder.
    """
    if not encoder_names:
        raise ConfigError("this mixture has no weak encoder whose worth could be measured")
    none = RoutingControl(no_weak=True)
    forced = {(FORCED, one): RoutingControl(force=(one,)) for one in encoder_names}
    alone = len(encoder_names) == 1  # who masks the only one runs none
    masked = {
        (MASKED, one): none if alone else RoutingControl(mask=(one,)) for one in encoder_names
    }
    replaced = dict.fromkeys((TWIN, one) for one in encoder_names)
    return {(LEARNED, ""): None, (NO_WEAK, ""): none, **forced, **masked, **replaced}


def twins_of(model: MoWE) -> Twins:
    """A twin of each weak encoder with random weights, by name; the model stays as it is."""
    return {
        name: random_twin(encoder)
        for name, encoder in zip(model.encoder_names, model.pool, strict=True)
    }


@torch.inference_mode()
def heard_under(
    model: MoWE, audio: AudioBatch, controls: Controls, twins: Twins
) -> dict[Key, Heard]:
    """One recording under several routings; every encoder listens once, a twin where it is needed.

    Args:
        model: The mixture.
        audio: A batch of one.
        controls: The routings, from `routings`.
        twins: From `twins_of`.

    Returns:
        By kind and encoder; under the twin of an encoder that was not chosen the very same as under
        the learned routing.
    """
    base = model.encode_base(audio)
    row = torch.zeros(1, dtype=torch.long, device=model.device)
    weak = model.encode_pool(audio, dict.fromkeys(range(len(model.pool)), row))
    heard: dict[Key, Heard] = {}
    for (kind, name), control in controls.items():
        routing = model.route(base, control)
        chosen = {place: weak[place] for place in routing.chosen_rows()}
        if kind == TWIN:
            place = model.encoder_names.index(name)
            if place not in chosen:
                heard[kind, name] = heard[LEARNED, ""]
                continue
            chosen[place] = model.encode_weak(place, audio, row, twins[name])
        heard[kind, name] = model.adapt_unnamed(Features(base, routing, chosen))
    return heard


def measured(
    assistant: Assistant,
    recording: Recording,
    examples: Sequence[Example],
    root: Path,
    twins: Twins,
) -> list[Row]:
    """A row for each of the lines about one recording; see `WorthTable`.

    Args:
        assistant: Whose encoders are measured.
        recording: What the lines are about.
        examples: The lines.
        root: The manifest's folder.
        twins: From `twins_of`.

    Raises:
        AudioError: If the recording is too long to be answered in one piece.
        ConfigError: If the mixture has no weak encoder, or a likelihood is no number.
        QuestionError: If a line does not fit into the language model's context.
    """
    windows = _listened(assistant, recording, twins)
    names, first = assistant.encoder_names, [one[LEARNED, ""] for one in windows]
    ran = torch.stack([one.routing.chosen[0] for one in first]).any(dim=0).tolist()
    chosen = [name for name, runs in zip(names, ran, strict=True) if runs]
    # what differs from the learned routing; the twin of an encoder that did not run changes nothing
    kept = [key for key in windows[0] if key[0] != TWIN or key[1] in chosen]
    audio = {key: torch.cat([one[key].audio_tokens()[0] for one in windows]) for key in kept}
    rows = []
    for example in examples:
        scores, tokens = _log_likelihoods(assistant.model, example, list(audio.values()))
        found = dict(zip(kept, scores, strict=True))
        heads = {
            key: label_score(assistant.model, example, [one[key].notes for one in windows])
            for key in kept
        }
        by_head = {key: score for key, score in heads.items() if score is not None}
        _check_finite([*found.items(), *by_head.items()], recording)
        about = {"tokens": tokens, "chosen": chosen}
        head = _changes(by_head, names) if by_head else None
        rows.append(_described(example, root) | about | _changes(found, names) | {"head": head})
    return rows


def _check_finite(found: Sequence[tuple[Key, float]], recording: Recording) -> None:
    wrong = [" ".join(key).strip() for key, score in found if not math.isfinite(score)]
    if wrong:
        raise ConfigError(
            f"the log-likelihood of an answer about {recording.name} is no number under the "
            f"routing {wrong[0]!r}; an encoder or the checkpoint gives what is not finite"
        )


def open_worth(path: Path, settings: Mapping[str, Any]) -> Ledger:
    """Begin a file of rows, or continue one of the same settings.

    Args:
        path: The file.
        settings: What the rows depend on: `preset`, `encoders`, sums of checkpoint and manifest.

    Raises:
        RecordsError: If it holds something else.
        ConfigError: If it cannot be written.
    """
    stamped = {"format": FORMAT, "version": VERSION, **settings}
    if path.exists() and path.stat().st_size:
        first = path.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]
        if first == json.dumps({**stamped, "version": 1}, sort_keys=True):
            raise RecordsError(
                f"{path.name} was begun before twins and heads were measured; name another file"
            )
        if first != json.dumps(stamped, sort_keys=True):
            raise RecordsError(
                f"{path.name} holds no worth of this checkpoint and this manifest's split; name "
                "another file"
            )
    return Ledger(path, stamped)


def read_worth(path: str | Path) -> WorthTable:
    """What `mowe worth` wrote.

    Raises:
        RecordsError: If it is missing, damaged, without a row, or another kind of file.
    """
    path = Path(path)
    settings, rows = read_ledger(path, RecordsError)
    known = isinstance(settings, dict) and settings.get("format") == FORMAT
    if not known or settings.get("version") not in READABLE:
        raise RecordsError(f"{path.name} is no file of worth; `mowe worth` writes one")
    if not rows:
        raise RecordsError(f"{path.name} holds no row; run `mowe worth` again")
    return WorthTable(rows, tuple(settings["encoders"]), settings["preset"])


def identity(example: Example, root: Path) -> str:
    """What tells a line from the others of its manifest, wherever the manifest's folder lies."""
    place = _inside(str(example.audio), root), example.start, example.end
    text = json.dumps([example.metadata.get("id"), place, example.task, example.messages])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _listened(assistant: Assistant, recording: Recording, twins: Twins) -> list[dict[Key, Heard]]:
    """Each window under each routing."""
    model, controls = assistant.model, routings(assistant.encoder_names)
    windows = [
        heard_under(model, _batch(model, recording.window(start, end)), controls, twins)
        for start, end in recording.windows(assistant.window_seconds)
    ]
    count = sum(len(one[LEARNED, ""].audio_tokens()[0]) for one in windows)
    if count > assistant.max_audio_tokens:
        raise AudioError(
            f"{recording.name} lasts {recording.seconds:.1f} s, which is answered window by window;"
            " give its lines `start` and `end`"
        )
    return windows


def _batch(model: MoWE, recording: Recording) -> AudioBatch:
    batch = make_batch(
        [{rate: torch.from_numpy(recording.at(rate)) for rate in model.sample_rates}]
    )
    return batch.to(model.device)


@torch.inference_mode()
def _log_likelihoods(
    model: MoWE, example: Example, audio: Sequence[Tensor]
) -> tuple[list[float], int]:
    """Of the right answer after each audio `(audio_tokens, llm_dim)`, nats; its tokens."""
    language_model = model.language_model
    chat = [
        Message(role, (AUDIO_MARK if played else "") + words)
        for role, words, played in example.turns[:-1]
    ]
    prompt = language_model.prompt(chat, [len(audio[0])], reply=True)
    answered = language_model.with_reply(prompt, example.answer)
    if len(answered.ids) > language_model.context:
        raise QuestionError(
            f"a line about {example.audio.name if example.audio else ''} has {len(answered.ids)} "
            f"tokens, {language_model.context} fit; shorten it"
        )
    scores = language_model.log_likelihoods([answered] * len(audio), audio)
    return scores.tolist(), len(answered.ids) - len(prompt.ids)


def _changes(found: Mapping[Key, float], names: Sequence[str]) -> Row:
    """Against the learned routing; what is not in `found` changes nothing."""
    learned = found[LEARNED, ""]

    def change(kind: str, name: str) -> float:
        return round(found.get((kind, name), learned) - learned, _DIGITS)

    return {
        "learned": round(learned, _DIGITS),
        "no_weak": change(NO_WEAK, ""),
        **{kind: {name: change(kind, name) for name in names} for kind in (FORCED, MASKED, TWIN)},
    }


def _described(example: Example, root: Path) -> Row:
    audio = _inside(str(example.audio), root)
    return {
        "id": identity(example, root),
        "task": example.task,
        "source": str(example.metadata.get("source") or ""),
        "recording": str(example.metadata.get("recording") or audio),
        "audio": audio,
        "question": example.turns[-2][1],
    }


def _inside(path: str, root: Path) -> str:
    """A path as seen from the manifest's folder, where it lies inside."""
    place = Path(path)
    root = root.resolve()
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else path
