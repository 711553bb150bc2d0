"""What may be typed behind `experiments` and `pool`."""

import argparse
from pathlib import Path

Commands = argparse._SubParsersAction  # argparse has no public name for it


def add_experiments(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Arms of experiments: list, run, ask, report."""
    experiments = commands.add_parser(
        "experiments", help="train arms that differ in one thing, and compare them"
    )
    steps = experiments.add_subparsers(dest="step", required=True, metavar="STEP")
    listed = steps.add_parser("list", help="the experiments, their claims and arms")
    run = steps.add_parser("run", help="train what is missing, and write the result files")
    run.add_argument("names", nargs="+", metavar="NAME", help="experiments, or all")
    run.add_argument(
        "--manifest", type=Path, required=True, help="of a built corpus; its labels are the tasks"
    )
    run.add_argument(
        "--scale",
        choices=("fast", "lm"),
        default="fast",
        help="lm: through a language model (fast)",
    )
    run.add_argument(
        "--seeds", type=int, metavar="N", help="of every arm (as each experiment says)"
    )
    run.add_argument("--folder", type=Path, help="features and runs (built/experiments)")
    run.add_argument("--out", type=Path, help="result files (results/experiments)")
    run.add_argument("--jobs", type=int, default=1, metavar="N", help="arms side by side (1)")
    run.add_argument(
        "--test", action="store_true", help="judge on the test split: once, when all is chosen"
    )
    drivers = steps.add_parser("drivers", help="ask trained routers what drives their choice")
    drivers.add_argument("--manifest", type=Path, required=True, help="of a built corpus")
    drivers.add_argument("--seeds", type=int, metavar="N", help="of both arms (3)")
    drivers.add_argument("--folder", type=Path, help="features and rows (built/experiments)")
    drivers.add_argument("--out", type=Path, help="the result file (results/drivers.json)")
    report = steps.add_parser("report", help="the pages about what was measured")
    report.add_argument("--results", type=Path, help="result files (results/experiments)")
    report.add_argument("--out", type=Path, help="folder of the pages (docs)")
    report.add_argument("--readme", type=Path, help="put the verdicts between its marks")
    for step in (listed, report):
        step.set_defaults(inputs=())
    for step in (run, drivers):
        step.set_defaults(inputs=("manifest",))


def add_pool(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Measure an encoder of one's own."""
    pool = commands.add_parser("pool", help="measure an encoder of your own beside the pool")
    steps = pool.add_subparsers(dest="step", required=True, metavar="STEP")
    add = steps.add_parser("add", help="train it beside a random twin, and write the mixture")
    add.add_argument("source", metavar="hub:OWNER/NAME|folder:PATH")
    add.add_argument("--family", required=True, help="such as ssl or whisper")
    add.add_argument("--name", help="in tables (the last part of the source)")
    add.add_argument("--manifest", type=Path, required=True, help="of a built corpus")
    add.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="worth and mixture")
    add.add_argument("--preset", default="mini", help="whose pool it joins (%(default)s)")
    add.add_argument("--seeds", type=int, metavar="N", help="of every arm (3)")
    add.add_argument("--folder", type=Path, help="features and runs (built/experiments)")
    add.add_argument("--jobs", type=int, metavar="N", help="arms side by side (1)")
    add.set_defaults(inputs=("manifest",))
