"""Result files of experiments, made up by hand, for tests of what reads and shows them."""

import json
from pathlib import Path
from typing import Any

TASKS = ("word", "sound")
SHARES = {"word": {"speaker": 0.75, "music": 0.25}, "sound": {"speaker": 0.0, "music": 1.0}}


def arm(name: str, word: float, sound: float, shares: Any = None) -> dict[str, Any]:
    """An arm; one with shares has a data-dependent router."""
    made = {
        "name": name,
        "settings": {},
        "accuracy": round((word + sound) / 2, 4),
        "deviation": 0.01,
        "by_seed": [(word + sound) / 2] * 5,
        "by_task": {"word": word, "sound": sound},
        "cpu_seconds": 7.5,
    }
    if shares is None:
        return made
    router = {
        "effective_encoders": [1.8] * 5,
        "collapsed": 0.0,
        "shares": shares,
        "information_within_sources": [0.1] * 5,
    }
    return {**made, "routing": {"dependent": router}}


def comparison(
    first: str, second: str, difference: float, says: str, task: str = "", source: str = ""
) -> dict[str, Any]:
    """A comparison whose interval reaches 0.015 to either side."""
    return {
        "arm": first,
        "against": second,
        "task": task,
        "source": source,
        "difference": difference,
        "low": round(difference - 0.015, 4),
        "high": round(difference + 0.015, 4),
        "p": 0.001,
        "p_corrected": 0.002,
        "detectable": 0.021,
        "says": says,
    }


def result(**changes: Any) -> dict[str, Any]:
    """The result file of `worth`, short."""
    made = {
        "experiment": "worth",
        "claim": "A mixture beats its base",
        "published": "25.49 by its authors",
        "scale": "fast",
        "split": "dev",
        "verdict": "holds at this scale",
        "data": {
            "manifest": "0" * 64,
            "tasks": {
                task: {
                    "train": {"clips": 200, "groups": 20},
                    "dev": {"clips": 60, "groups": 8},
                    "labels": 4,
                }
                for task in TASKS
            },
        },
        "budget": {"seeds": 5},
        "arms": [
            arm("base only", 0.6, 0.7),
            arm("paper", 0.7, 0.72, SHARES),
            arm("dense", 0.61, 0.7, {task: {"speaker": 0.5, "music": 0.5} for task in TASKS}),
        ],
        "comparisons": [
            comparison("paper", "base only", 0.06, "better"),
            comparison("dense", "base only", 0.004, "equal"),
        ],
        "code": [{"commit": "0123456789abcdef", "dirty": False}],
        "machine": {"processor": "A processor", "cores": 2},
    }
    return {**made, **changes}


def drivers() -> dict[str, Any]:
    """The result file of what drives routing, short."""
    point = {"arm": "paper", "low": 0.5, "high": 0.75}
    changes = {
        "name": "changes",
        "question": "Does a small change move the choice?",
        "unit": "share of clips",
        "answers": [{"arm": "paper", "sentence": "No."}],
        "points": [
            {**point, "name": "6 dB softer", "value": 0.625, "control": False},
            {**point, "name": "another clip", "value": 0.6, "control": True},
        ],
        "details": {"columns": ["Arm", "Change"], "rows": [["paper", "6 dB softer"]]},
    }
    cells = {
        **changes,
        "question": "Which part of the spectrogram decides?",
        "bands": ["0-200 Hz", "200-400 Hz"],
        "details": {
            "columns": ["Arm", "Encoder", "Clips", "0-200 Hz", "200-400 Hz"],
            "rows": [["paper", "music", 3, 0.25, 0.75]],
        },
    }
    return {
        "questions": [changes, cells],
        "arms": [{"name": "paper", "effective_encoders": [3.21, 1.0]}],
        "data": {"manifest": "0" * 64, "split": "dev", "clips": 80, "changed": 40},
        "budget": {"seeds": 2, "cpu_seconds": 600},
        "code": [{"commit": "0123456789abcdef", "dirty": False}],
        "machine": {"processor": "A processor"},
    }


def write_results(folder: Path, **files: Any) -> Path:
    """Write files of these names into a new folder; text as it is, the rest as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return folder
