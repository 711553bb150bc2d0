"""`experiments`: train arms that differ in one thing, compare them, write pages about it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mowe.cli.desk import Desk, given
from mowe.cli.text import tell
from mowe.errors import ExperimentError
from mowe.experiments.claims import EXPERIMENTS
from mowe.experiments.experiment import Experiment

FOLDER, RESULTS, PAGES = Path("built/experiments"), Path("results/experiments"), Path("docs")


def run(desk: Desk) -> None:
    """List, run, ask routers or report.

    Raises:
        MoweError: If an experiment is unknown, the data do not fit, or results cannot be read.
    """
    {"list": _list, "run": _run, "drivers": _drivers, "report": _report}[desk.options.step](desk)


def _list(desk: Desk) -> None:
    for one in EXPERIMENTS:
        print(f"{one.name}: {one.claim}", file=desk.out)
        for arm in one.arms:
            print(f"    {arm.name}", file=desk.out)


def _run(desk: Desk) -> None:
    from mowe.experiments.results import write
    from mowe.experiments.runs import Place, Runs

    options = desk.options
    typed = given({"seeds": options.seeds})
    chosen = [
        replace(one.at(options.scale), **typed) for one in named(options.names, options.scale)
    ]
    runs = Runs(
        Place(manifest=options.manifest, folder=options.folder or FOLDER, scale=options.scale)
    )
    for one in chosen:
        runs.make(one.arms, one.seeds, options.jobs)
        found = write(one, runs, options.out or RESULTS, "test" if options.test else "dev")
        tell(f"{one.name}: {found['verdict']}")


def _drivers(desk: Desk) -> None:
    from mowe.experiments.driver_pages import FILE
    from mowe.experiments.drivers import write
    from mowe.experiments.runs import Place

    options = desk.options
    place = Place(manifest=options.manifest, folder=options.folder or FOLDER)
    found = write(place, options.out or RESULTS.parent / FILE, **given({"seeds": options.seeds}))
    for question in found["questions"]:
        for answer in question["answers"]:
            tell(f"{question['question']} {answer['arm']}: {answer['sentence']}")


def _report(desk: Desk) -> None:
    from mowe.experiments.pages import write_pages

    options = desk.options
    for path in write_pages(options.results or RESULTS, options.out or PAGES, options.readme):
        print(path, file=desk.out)


def named(names: Sequence[str], scale: str = "fast") -> list[Experiment]:
    """The experiments of these names, `all` standing for every one that has this scale.

    Raises:
        ExperimentError: If one is unknown.
    """
    known = {one.name: one for one in EXPERIMENTS}
    unknown = [name for name in names if name not in known and name != "all"]
    if unknown:
        raise ExperimentError(
            f"no experiment is called {', '.join(unknown)}; there are {', '.join(known)}, and all"
        )
    if "all" in names:
        return [one for one in EXPERIMENTS if scale in one.scales]
    return [known[name] for name in names]
