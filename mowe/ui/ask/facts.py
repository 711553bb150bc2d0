"""Plain facts about an answer. Text is set as text, so nothing in it is ever run."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from mowe.assistant import Answer, Sampling
from mowe.hints.lines import LENGTH, VOICE
from mowe.ui.shared.wiring import KEPT_SECONDS

# `textContent` is the point: values in an HTML template would be evaluated.
DRAW = """
const root = element.querySelector('.facts');
const add = (parent, tag, name, text) => {
  const node = document.createElement(tag);
  node.className = name;
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
};
const draw = () => {
  const facts = props.value || {};
  root.replaceChildren();
  if (facts.hint) add(root, 'p', 'facts-hint', facts.hint);
  if ((facts.stats || []).length) {
    const row = add(root, 'dl', 'facts-stats');
    for (const [label, value] of facts.stats) {
      const tile = add(row, 'div', 'facts-tile');
      add(tile, 'dt', '', label);
      add(tile, 'dd', '', value);
    }
  }
  if ((facts.lines || []).length) {
    const list = add(root, 'dl', 'facts-lines');
    for (const [label, value] of facts.lines) {
      add(list, 'dt', '', label);
      add(list, 'dd', '', value);
    }
  }
};
draw();
watch('value', draw);
"""
VOICE_NOTICE = (
    "Whether a man or a woman speaks, and how a voice feels, is guessed from few or acted voices: "
    "nothing to decide about people by. The server keeps a recording for at most "
    f"{KEPT_SECONDS // 60} minutes after it was last used, and for nothing but this conversation."
)
WRITER = "the base encoder's own decoder, not by the mixture"
STATS = (
    ("First word", "first_token", "{:.2f} s"),
    ("Encoders", "encoders", "{:.2f} s"),
    ("Tokens", "tokens_per_second", "{:.1f} / s"),
    ("Total", "total", "{:.1f} s"),
)


class Facts(gr.HTML):
    """Tiles and labelled lines from `{"hint": str, "stats": [[label, value]], "lines": [...]}`."""

    def __init__(self, value: dict[str, Any] | None = None, **settings: Any) -> None:
        super().__init__(
            value=value,
            html_template='<div class="facts" role="group" aria-label="What ran"></div>',
            js_on_load=DRAW,
            apply_default_css=False,
            **settings,
        )

    def api_info(self) -> dict[str, Any]:
        """What the component holds."""
        return {"type": "object"}


def idle_facts(preset: str, device: str, encoder_names: tuple[str, ...]) -> dict[str, Any]:
    """What can be said before the first question."""
    pool = ", ".join(encoder_names) or "none: only the base encoder listens"
    return {
        "hint": "Ask something: this side then shows which encoders listened, and to what.",
        "lines": [["Model", f"{preset} on {device}"], ["Weak encoders", pool]],
    }


def answer_facts(answer: Answer, sampling: Sampling, routing: str) -> dict[str, Any]:
    """Timings as tiles; below them the audio, the windows and how to get the same answer again.

    Args:
        answer: The answer so far.
        sampling: How it was decoded.
        routing: The routing that was asked for, in words.
    """
    stats = [
        [label, form.format(answer.timings[key])]
        for label, key, form in STATS
        if key in answer.timings
    ]
    lines = [[f"Heard: {one['name']}", one["sentence"]] for one in answer.audio]
    lines += [
        [f"Said: {one['name']}", said(transcript)]
        for one, transcript in zip(
            answer.audio[: len(answer.transcripts)], answer.transcripts, strict=True
        )
    ]
    lines += _told(answer)
    lines.append(["Windows", _windows(answer)])
    lines += [["Router certainty", _certainty(answer)]] if answer.windows else []
    lines.append(["Reproduce", reproduce(answer, sampling, routing)])
    return {"stats": stats, "lines": lines}


def reproduce(answer: Answer, sampling: Sampling, routing: str) -> str:
    """One line with all that decides an answer besides the audio and the question."""
    decoding = (
        f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, seed {sampling.seed}"
        if sampling.temperature
        else f"greedy, seed {sampling.seed}"
    )
    versions = ", ".join(f"{name} {version}" for name, version in answer.versions.items())
    length = f"at most {sampling.max_new_tokens} tokens"
    return f"preset {answer.preset}; {decoding}; {length}; {routing}; {versions}."


def said(transcript: Mapping[str, Any]) -> str:
    """What the language model was told of the speech, and by whom."""
    if not transcript["text"]:
        return "nobody speaks."
    return f"«{transcript['text']}» ({transcript['language']}, written down by {WRITER})."


def _told(answer: Answer) -> list[list[str]]:
    """The lines that stood beside the audio tokens, where they are more than the words."""
    told = [one for one in answer.hints if one.startswith(LENGTH)]
    names = [one["name"] for one in answer.audio]
    if len(told) != len(names):  # window by window
        names = [names[-1] if names else ""] * len(told)
    lines = [[f"Told in text: {name}", about] for name, about in zip(names, told, strict=True)]
    guessed = any(f"\n{VOICE}" in about for about in told)
    return [*lines, ["About voices", VOICE_NOTICE]] if guessed else lines


def _windows(answer: Answer) -> str:
    count = len(answer.windows)
    return f"{answer.mode} ({count} in all)." if count > 1 else f"{answer.mode}."


def _certainty(answer: Answer) -> str:
    """Of the last window: the newest recording's end."""
    last = answer.windows[-1]
    if not last.dependent and not last.independent:
        return "no router: only the base encoder listened."
    where = " in the last window" if len(answer.windows) > 1 else ""
    return f"entropy {last.entropy:.2f} nats, margin {last.margin:.2f}{where}."
