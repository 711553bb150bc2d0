"""What may be typed. Imports nothing heavy, so that `--help` is quick."""

import argparse
from pathlib import Path

EXIT_CODES = """\
exit codes:
  0    fine
  2    wrong usage, or a question that cannot be asked
  3    a recording cannot be used; the others were still processed
  4    pretrained weights or a checkpoint are missing or changed
  130  stopped with Ctrl-C
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of `python -m mowe`; the chosen command is in `command`."""
    parser = argparse.ArgumentParser(
        prog="python -m mowe",
        description="Ask questions about recordings, and see which weak encoders answer.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_ask(commands)
    _add_transcribe(commands)
    _add_route(commands)
    _add_doctor(commands)
    return parser


Commands = argparse._SubParsersAction  # argparse has no public name for it


def _add_ask(commands: "Commands[argparse.ArgumentParser]") -> None:
    ask = commands.add_parser("ask", help="ask a question about each recording")
    ask.add_argument("files", nargs="+", metavar="FILE", type=Path)
    ask.add_argument("-q", "--question", required=True, help="what to ask about each of them")
    _add_text_options(ask)
    _add_model_options(ask)


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
    _add_model_options(route)


def _add_doctor(commands: "Commands[argparse.ArgumentParser]") -> None:
    doctor = commands.add_parser("doctor", help="check weights, libraries and device")
    doctor.add_argument(
        "--fetch", action="store_true", help="fetch what is missing and replace what changed"
    )


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


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per file, and nothing else"
    )
    parser.add_argument(
        "--model", metavar="NAME_OR_FOLDER", help="preset, checkpoint folder or hub repo (mini)"
    )
    parser.add_argument(
        "--max-seconds", type=float, metavar="S", help="longest recording accepted (1800)"
    )
    parser.add_argument(
        "--max-bytes", type=int, metavar="N", help="largest file accepted (200000000)"
    )


def _add_model_options(parser: argparse.ArgumentParser) -> None:
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
