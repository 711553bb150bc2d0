"""What may be typed. Imports nothing heavy, so that `--help` is quick."""

import argparse
import os
import sys
from pathlib import Path

from mowe.cli.research import Commands, add_experiments, add_pool
from mowe.config import HINTS
from mowe.evaluation.tasks import MANIFEST, MEASURES, SUITES
from mowe.shipped import DEFAULT_CHECKPOINT

EXIT_CODES = """\
exit codes:
  0    fine
  1    a check of `health` fails, `routing-diff` finds too much moved, a corpus cannot be built, or
       nobody reads the results
  2    wrong usage, or a question, setting or file of data that cannot be used
  3    a recording cannot be used; the others were still processed
  4    pretrained weights or a checkpoint are missing or changed
  130  stopped with Ctrl-C
"""
_RECORDS = "what `mowe route` wrote, ending in .parquet"
_CORPUS_FOLDERS = {
    "fsdd": "folder of the Free Spoken Digit Dataset",
    "esc10": "folder of ESC-10",
    "ravdess": "folder of RAVDESS speech (non-commercial)",
    "people": "folder of clips of people with a manifest.jsonl",
}
_CORPUS_TOOLS = {
    "flite": "command of the flite synthesiser",
    "hibari": "command of the hibari synthesiser",
    "festival": "command of festival that speaks a text into a file",
    "piper": "command of the piper synthesiser",
    "kokoro": "a Python that has kokoro-onnx",
    "espeak": "command of the espeak-ng synthesiser",
    "fluidsynth": "command of the fluidsynth renderer",
}
# type and meaning of the thresholds that `health` takes, with their defaults
THRESHOLDS: dict[str, tuple[type, str]] = {
    "min_effective": (float, "effective number of encoders that must share the choices (1.5)"),
    "max_share": (float, "largest share of the choices that one encoder may have (0.9)"),
    "spike_scatters": (
        float,
        "median absolute deviations above the running median that make a spike (8.0)",
    ),
    "spike_window": (int, "logged losses of the running median (20)"),
    "spikes_allowed": (int, "spikes that are forgiven (0)"),
    "max_growth": (float, "growth of peak memory over the second half of a stretch (0.1)"),
    "most_encoders": (int, "distinct encoders that may run for one window (2)"),
    "max_luck": (float, "p value above which a match of routing and worth may be luck (0.05)"),
}


def build_parser() -> argparse.ArgumentParser:
    """The parser of `mowe`; the chosen command is in `command`.

    Options that were not typed are None, and keep the default of whatever takes them. `inputs`
    names those whose files must be there before anything is loaded, `walks` says whether `files`
    may be folders and manifests.
    """
    as_module = Path(sys.argv[0]).name == "__main__.py"
    parser = argparse.ArgumentParser(
        prog="python -m mowe" if as_module else "mowe",
        description="Ask questions about recordings, and see which weak encoders answer.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(files=(), inputs=(), walks=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        *(_add_ask, _add_transcribe, _add_route, _add_train, _add_eval, _add_corpus, _add_report),
        *(_add_health, _add_map, _add_doctor, _add_export, add_experiments, add_pool),
        *(_add_worth, _add_routing_diff),
    ):
        add(commands)
    return parser


def _add_ask(commands: "Commands[argparse.ArgumentParser]") -> None:
    ask = commands.add_parser("ask", help="ask a question about each recording")
    ask.add_argument("files", nargs="+", metavar="FILE", type=Path)
    ask.add_argument("-q", "--question", required=True, help="what to ask about each of them")
    _add_hints(ask)
    _add_emotion(ask)
    _add_text_options(ask)
    _add_routing_options(ask)


def _add_hints(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--hints", type=_hints, metavar="none|HINT,HINT",
        help=f"what the language model is told in text beside the sound: {', '.join(HINTS)} (all)",
    )  # fmt: skip


def _add_emotion(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--emotion",
        action="store_true",
        help="guess how voices feel, by a part learnt from actors: not for commercial use, nor for "
        "decisions about people",
    )


def _hints(text: str) -> tuple[str, ...]:
    names = tuple(one.strip() for one in text.split(",")) if text != "none" else ()
    if unknown := [one for one in names if one not in HINTS]:
        raise argparse.ArgumentTypeError(
            f"{unknown[0]!r} is no hint: none, or some of {', '.join(HINTS)} with commas between"
        )
    return names


def _add_transcribe(commands: "Commands[argparse.ArgumentParser]") -> None:
    transcribe = commands.add_parser(
        "transcribe", help="write down the speech of each recording, with times"
    )
    transcribe.add_argument("files", nargs="+", metavar="FILE", type=Path)
    transcribe.add_argument(
        "--language", default="", help="such as French; by default the one that is heard first"
    )
    transcribe.add_argument("--translate", action="store_true", help="into English")
    transcribe.add_argument(
        "--format",
        choices=("txt", "srt", "vtt"),
        help="a line a segment, or subtitles; by default one line, and the times on standard error",
    )
    transcribe.add_argument("--stream", action="store_true", help="show the text as it is written")
    _add_output_options(transcribe)


def _add_route(commands: "Commands[argparse.ArgumentParser]") -> None:
    route = commands.add_parser("route", help="which weak encoders each recording is sent to")
    route.add_argument("files", nargs="+", metavar="FILE_FOLDER_OR_MANIFEST", type=Path)
    route.add_argument(
        "--out",
        type=Path,
        metavar="TABLE",
        help="one row per window; .parquet is a records file that a second run continues and that"
        " takes labels from manifests (.jsonl); .csv and .jsonl are plain tables",
    )
    route.add_argument(
        "--fused",
        action="store_true",
        help="run the chosen weak encoders too and keep the mean fused embedding (.parquet)",
    )
    _add_routing_options(route)
    route.set_defaults(walks=True)


def _add_train(commands: "Commands[argparse.ArgumentParser]") -> None:
    train = commands.add_parser("train", help="train, or continue a run that was interrupted")
    train.add_argument("--config", type=Path, required=True, help="JSON file of settings")
    train.set_defaults(inputs=("config",))


def _measure(text: str) -> tuple[str, str]:
    task, _, measure = text.rpartition("=")
    return task, measure


def _add_eval(commands: "Commands[argparse.ArgumentParser]") -> None:
    score = commands.add_parser("eval", help="score a checkpoint on held-out lines of a manifest")
    score.add_argument("--manifest", type=Path, required=True, help="of a built corpus")
    score.add_argument("--out", type=Path, required=True, help="JSON; a table is put beside it")
    score.add_argument(
        "--suite",
        default=MANIFEST,
        help=f"{', '.join(SUITES)}, or {MANIFEST}: every task it has (%(default)s)",
    )
    score.add_argument(
        "--questions",
        type=Path,
        metavar="FILE",
        help="a list of questions about the manifest's clips, instead of its lines",
    )
    score.add_argument("--task", action="append", default=[], help="only this one, repeatable")
    score.add_argument(
        "--measure", action="append", default=[], type=_measure, metavar="TASK=MEASURE",
        help=f"of a task, instead of the usual one, repeatable: {', '.join(MEASURES)}",
    )  # fmt: skip
    score.add_argument("--limit", type=int, metavar="N", help="examples of every group")
    score.add_argument("--split", help="of the manifest, or half of the questions (dev)")
    score.add_argument("--seed", type=int, metavar="N", help="of the draw of examples (0)")
    score.add_argument("--baselines", help="none, all, or names with commas between (none)")
    score.add_argument("--no-weak", action="store_true", help="run no weak encoder")
    score.add_argument(
        "--swap", action="store_true",
        help="measure how much less likely right answers are with another recording's audio tokens",
    )  # fmt: skip
    _add_hints(score)
    _add_emotion(score)
    _add_checkpoint_options(score)
    score.set_defaults(inputs=("manifest", "questions"))


def _add_corpus(commands: "Commands[argparse.ArgumentParser]") -> None:
    corpus = commands.add_parser(
        "corpus", help="build the training corpus (in a checkout of the repository)"
    )
    corpus.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    corpus.add_argument("--source", nargs="+", metavar="NAME", help="only these sources")
    corpus.add_argument("--task", nargs="+", metavar="NAME", default=[], help="only these tasks")
    corpus.add_argument("--size", choices=("small", "full"), help="small is for trying out (full)")
    corpus.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="clips rendered at once (%(default)s)"
    )
    for name, text in _CORPUS_FOLDERS.items():
        corpus.add_argument(f"--{name}", type=Path, metavar="FOLDER", help=text)
    for name, text in _CORPUS_TOOLS.items():
        corpus.add_argument(f"--{name}", metavar="COMMAND", help=text)


def _add_worth(commands: "Commands[argparse.ArgumentParser]") -> None:
    worth = commands.add_parser(
        "worth", help="what each weak encoder does for the right answers of a manifest's lines"
    )
    worth.add_argument("manifest", type=Path, help="of a built corpus, or your own")
    worth.add_argument(
        "--out", type=Path, required=True, metavar="JSONL",
        help="a row per line; a second run continues it",
    )  # fmt: skip
    worth.add_argument("--split", default="dev", help="of the manifest (%(default)s)")
    worth.add_argument("--limit", type=int, metavar="N", help="lines of every task (all)")
    worth.add_argument("--seed", type=int, default=0, help="of the draw of lines (%(default)s)")
    _add_checkpoint_options(worth)
    worth.set_defaults(inputs=("manifest",))


def _add_routing_diff(commands: "Commands[argparse.ArgumentParser]") -> None:
    diff = commands.add_parser(
        "routing-diff", help="which recordings another checkpoint sends elsewhere"
    )
    for name in ("old", "new"):
        diff.add_argument(
            name, metavar=name.upper(), help="checkpoint, its folder, a hub repo, or a records file"
        )
    diff.add_argument(
        "--manifest", type=Path, help="of the recordings that checkpoints are compared on"
    )
    diff.add_argument(
        "--allowed", type=float, default=0.0, metavar="SHARE",
        help="of the windows that may move, 0 to 1 (%(default)g)",
    )  # fmt: skip
    diff.add_argument(
        "--untrained",
        action="store_true",
        help="checkpoints are presets; their trained part is random",
    )
    diff.set_defaults(inputs=("manifest",))


def _add_report(commands: "Commands[argparse.ArgumentParser]") -> None:
    report = commands.add_parser("report", help="a self-contained page about a records file")
    report.add_argument("records", type=Path, help=_RECORDS)
    report.add_argument("--out", type=Path, required=True, metavar="PAGE", help="ends in .html")
    report.set_defaults(inputs=("records",))


def _add_health(commands: "Commands[argparse.ArgumentParser]") -> None:
    health = commands.add_parser("health", help="signs of failure in records and a training log")
    health.add_argument("--records", type=Path, metavar="PARQUET", help=_RECORDS)
    health.add_argument("--log", type=Path, metavar="JSONL", help="metrics.jsonl of a run")
    health.add_argument("--worth", type=Path, metavar="JSONL", help="what `mowe worth` wrote")
    for name, (number, text) in THRESHOLDS.items():
        option = f"--{name.replace('_', '-')}"
        health.add_argument(option, type=number, metavar="NUMBER", help=text)
    health.set_defaults(inputs=("records", "log", "worth"), thresholds=tuple(THRESHOLDS))


def _add_map(commands: "Commands[argparse.ArgumentParser]") -> None:
    page = commands.add_parser("map", help="build the map of recordings that the page shows")
    page.add_argument("manifest", type=Path, help="of a built corpus")
    page.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="it is replaced")
    page.add_argument("--fraction", type=float, default=1.0, help="of every source's share (1)")
    page.add_argument("--seed", type=int, default=0, help="of the choice and of UMAP (0)")
    _add_checkpoint_options(page)
    page.set_defaults(inputs=("manifest",))


def _add_doctor(commands: "Commands[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser("doctor", help="check weights, libraries and device")
    doctor.add_argument(
        "--fetch", action="store_true", help="fetch what is missing and replace what changed"
    )


def _add_export(commands: "Commands[argparse.ArgumentParser]") -> None:
    export = commands.add_parser(
        "export", help="write a run's checkpoint as a folder to share, in half precision"
    )
    export.add_argument("checkpoint", type=Path, help="folder that a run wrote")
    export.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="a checkpoint there is replaced"
    )
    export.set_defaults(inputs=("checkpoint",))


def _add_text_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stream", action="store_true", help="show the text as it is written")
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="longest reply (200)")
    parser.add_argument(
        "--temperature", type=float, metavar="T", help="0 always picks the likeliest word (0)"
    )
    parser.add_argument(
        "--top-p", type=float, metavar="P", help="probability mass to draw from (0.9)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the draws (0)")


def _add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="NAME_OR_FOLDER",
        default=DEFAULT_CHECKPOINT,
        help="checkpoint, its folder, or a hub repo (%(default)s)",
    )
    parser.add_argument(
        "--untrained", action="store_true", help="--model is a preset; its trained part is random"
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per file, and nothing else"
    )
    _add_checkpoint_options(parser)
    parser.add_argument(
        "--max-seconds", type=float, metavar="S", help="longest recording accepted (1800)"
    )
    parser.add_argument(
        "--max-bytes", type=int, metavar="N", help="largest file accepted (200000000)"
    )


def _add_routing_options(parser: argparse.ArgumentParser) -> None:
    _add_output_options(parser)
    parser.add_argument(
        "--embedding", action="store_true", help="with the recording's pooled base embedding"
    )
    routing = parser.add_mutually_exclusive_group()
    routing.add_argument(
        "--force-encoder",
        action="append",
        default=[],
        metavar="NAME",
        help="run this weak encoder instead of the chosen ones; may be repeated",
    )
    routing.add_argument(
        "--mask-encoder",
        action="append",
        default=[],
        metavar="NAME",
        help="never run this weak encoder; may be repeated",
    )
    routing.add_argument("--dense", action="store_true", help="run every weak encoder")
    routing.add_argument("--no-weak", action="store_true", help="run no weak encoder")
