"""`python -m mowe.evaluation.table RESULT.json [--readme FILE]`: results as a Markdown table."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mowe.errors import ConfigError, MoweError
from mowe.evaluation.aims import aims_table
from mowe.evaluation.baselines import GUESSES
from mowe.files import between_marks, markdown_table, read_json, replace_file

MARKS = ("<!-- results:begin -->", "<!-- results:end -->")
_GUESSED = f" Noise instead of the recording: at most {GUESSES} questions a task."
HEAD = ("group", "task", "source", "examples", "measure", "value", "95 %")


def markdown(result: Mapping[str, Any]) -> str:
    """A line per task, source and metric, with a column for each baseline that ran.

    Args:
        result: Content of a results file.
    """
    names = [name for name, lines in result["baselines"].items() if lines]
    found = {
        (name, line["task"], line["source"], line["metric"]): line["value"]
        for name in names
        for line in result["baselines"][name]
    }
    rows = []
    for line in result["summary"]:
        place = line["task"], line["source"]
        beside = [found.get((name, *place, line["metric"])) for name in names]
        rows.append(
            [
                *(line["group"], *place, str(line["examples"]), measure(line, result)),
                f"**{line['value']:.3f}**",
                f"{line['low']:.3f}–{line['high']:.3f} ({line['drawn']})",
                *("" if value is None else f"{value:.3f}" for value in beside),
            ]
        )
    return markdown_table([*HEAD, *names], rows) + "\n"


def measure(line: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """The name of a line's measure; METEOR is named with what it matches."""
    metric = str(line["metric"])
    return str(result["meteor"]) if metric == "METEOR" else metric


def caption(result: Mapping[str, Any]) -> str:
    """What the table is of, in a few lines."""
    code = result["code"]
    commit = (
        f", commit {code['commit'][:10]}{' with changes' if code['dirty'] else ''}" if code else ""
    )
    return (
        f"Checkpoint `{result['checkpoint']}` (preset {result['preset']}, "
        f"{result['checkpoint_sha256'][:12]}{commit}), suite {result['suite']}, "
        f"split {result['split']}, seed {result['seed']}, greedy. WER and CER: lower is better; "
        f"normaliser: {result['normaliser']}. {result['meteor']} is NLTK's. "
        f"95 %: percentile bootstrap over speakers or clips."
        f"{_GUESSED if result['baselines'].get('noise') else ''}\n"
    )


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 with the table, 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m mowe.evaluation.table", description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--readme", type=Path, help="put the aims between its marks")
    given = parser.parse_args(arguments)
    try:
        result = read_json(given.result, ConfigError)
        if given.readme is None:
            print(markdown(result))
            return 0
        content = f"{aims_table(result)}\n{caption(result)}"
        page = between_marks(given.readme.read_text(encoding="utf-8"), content, MARKS, ConfigError)
        replace_file(given.readme, page.encode())
    except (MoweError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"error: {given.result.name} is no results file: {error!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
