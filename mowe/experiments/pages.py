"""`docs/PAPER.md` and `docs/ROUTING.md`, from the result files: claims beside what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mowe.errors import ExperimentError
from mowe.experiments.cost import cost_rows, cost_section, read_cost
from mowe.experiments.judge import MARGIN
from mowe.experiments.pairs import PARTS, Together, agreements, pairs_of
from mowe.experiments.result_files import information_of, read_results, verdict_sentence
from mowe.files import between_marks, replace_file
from mowe.shipped import COST_RESULT

_Found = Mapping[str, Any]

_PAPER_HEAD = f"""# The paper's claims, and what we measured

Written by `mowe experiments report` from the files in `results/experiments/`; do not edit it.

Every claim is tested by arms that differ in one thing, trained alike on the same clips in the same
order, over several seeds. *Accuracy* is the mean over tasks. A difference has a 95 % interval
(bootstrap over people, recordings and seeds) and a p value (permutation of signs by person or
recording, corrected for the comparisons of its experiment after Holm). *Equal* means that the
interval lies within ±{MARGIN:g}, a margin fixed beforehand; *could have been seen* is the
difference that this comparison finds four times in five.

The fast scale has no language model: the mean audio token is compared with the language model's
embeddings of a task's labels. Routers, projections, fusion, adapter and losses are the model's own.
It is a small model on small data: a claim that does not hold here may hold in the paper's setting.

Nobody has published the paper's code or weights. None of its own numbers is reproduced here; where
its authors or others report some, they are named as published by them.
"""
_PEERS = """## What others report

Published numbers of full-size systems, none of them reproduced here; no claim rests on them.
METEOR times 100 without WordNet's synonyms differs from METEOR with them; read down a column, not
across sources.

| system | AudioCaps METEOR | LibriSpeech clean WER | published by |
| --- | --- | --- | --- |
| MoWE (the paper) | 25.49 | - | arXiv 2409.06635 |
| SALMONN | 22.79 | - | arXiv 2409.06635 |
| WavLLM | 6.70 | - | arXiv 2409.06635 |
| SALMONN-7B | 20.99 | 10.27 | AudioBench, logs at e991641 |
| WavLLM | 4.17 | 2.10 | AudioBench, logs at e991641 |
| Qwen2-Audio-7B-Instruct | 19.89 | 3.51 | AudioBench, logs at e991641 |
| MERaLiON-AudioLLM | 24.92 | 2.29 | AudioBench, logs at e991641 |
| Whisper-v3 then Llama-3-8B | 7.95 | 1.79 | AudioBench, logs at e991641 |

The arms "in the manner of" WavLLM, SALMONN and NeMo's parallel experts share only their choice of
encoders, at our size and budget: base and a speaker encoder always on; base and a sound encoder
with attention by window; all encoders always on and summed.
"""
MARKS = ("<!-- experiments:begin -->", "<!-- experiments:end -->")
_SCALES = {"fast": "Without a language model", "lm": "Through the language model"}
_ROUTING_HEAD = """# What the routers do

Written by `mowe experiments report` from the files in `results/experiments/`; do not edit it.

*Effective encoders* is the exponential of the entropy of a router's picks over all tasks, a router
with less than 1.5 has *collapsed*. *Regret* is the accuracy under the best forced pair of encoders
of each task, less that of the learned routing: rivals are trained by uniform picks over the same
pool, the best pair is chosen on one half of the people and recordings and scored on the other.
*Without weak* is the accuracy where no weak encoder runs, *collapsed* the share of seeds.
*Information*, in nats, is the mutual information of the choice with the task within each source,
and with the label within each task of a source: routing that only recognises the data set has none.
Behind it stand the mean and the 95 % quantile of what it is by chance, tasks or labels permuted
from clip to clip: who only recognises a person tells more than that of a label that a person keeps.
"""


def write_pages(
    results: Path, folder: Path, readme: Path | None = None, cost: Path = COST_RESULT
) -> list[Path]:
    """Write both pages, and the part of a README between its marks; returns their paths.

    Args:
        results: Folder of result files.
        folder: Where the pages go.
        readme: A page with both `MARKS`.
        cost: What `python -m benchmarks.cost` wrote; without it nothing is said of the cost.

    Raises:
        ExperimentError: As `read_results` and `read_cost`, or if the README lacks a mark.
    """
    found, sizes = read_results(results), read_cost(cost)
    pages = {
        folder / "PAPER.md": paper_page(found, sizes),
        folder / "ROUTING.md": routing_page(found),
    }
    if readme is not None:
        page = readme.read_text(encoding="utf-8")
        pages[readme] = between_marks(page, readme_part(found, sizes), MARKS, ExperimentError)
    for path, text in pages.items():
        replace_file(path, text.encode())
    return list(pages)


def readme_part(results: Sequence[_Found], sizes: Mapping[str, _Found] | None = None) -> str:
    """What the mixture is worth in a few sentences, and the claims with their verdicts."""
    parts = []
    for one in results:
        if one["experiment"] in ("worth", "recipe"):
            pair = one["comparisons"][0]
            accuracy = {arm["name"]: arm["accuracy"] for arm in one["arms"]}
            parts.append(
                f"**{_SCALES[one['scale']]}{_of_test(one)}**: accuracy {accuracy[pair['arm']]:.3f} "
                f"with the mixture ({pair['arm']}), {accuracy[pair['against']]:.3f} without "
                f"({pair['against']}), trained alike: {pair['difference']:+.3f}, 95 % "
                f"{pair['low']:+.3f} to {pair['high']:+.3f}, {one['budget']['seeds']} seeds."
            )
    parts.append(_overview(results, sizes or {}))
    return "\n\n".join(parts)


def paper_page(results: Sequence[_Found], sizes: Mapping[str, _Found] | None = None) -> str:
    """The page of claims."""
    parts = [
        _PAPER_HEAD,
        *mixed_commits(results),
        _overview(results, sizes or {}),
        *map(_section, results),
        cost_section(sizes or {}),
        _PEERS,
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _overview(results: Sequence[_Found], sizes: Mapping[str, _Found]) -> str:
    rows = [[one["claim"], _scale(one), f"**{one['verdict']}**"] for one in results]
    return "\n".join(_table(["claim", "scale", "verdict"], [*rows, *cost_rows(sizes)]))


def mixed_commits(results: Sequence[_Found]) -> list[str]:
    """A sentence where results are of several commits, or of changed files."""
    codes = {
        (one["commit"][:10], one["dirty"]) for result in results for one in result["code"] or ()
    }
    if len(codes) < 2 and not any(dirty for _, dirty in codes):
        return []
    told = ", ".join(
        f"{commit}{' with changes' if dirty else ''}" for commit, dirty in sorted(codes)
    )
    return [f"**The runs are of several states of the code:** {told}."]


def _scale(one: _Found) -> str:
    return f"{one['scale']}{_of_test(one) or ', dev'}"


def _of_test(one: _Found) -> str:
    return ", test split" if one["split"] == "test" else ""


def _section(one: _Found) -> str:
    language_model = ", through the language model" if one["scale"] == "lm" else ""
    title = f"## {one['experiment'].capitalize()}{language_model}{_of_test(one)}"
    lines = [title, "", f"*Claim:* {one['claim']}.", "", verdict_sentence(one), ""]
    if one.get("published"):
        lines += [f"Published: {one['published']}. Not reproduced here.", ""]
    lines += [*_arms_table(one), "", *comparisons_table(one), "", how_made(one)]
    return "\n".join(lines)


def _arms_table(one: _Found) -> list[str]:
    tasks = list(one["arms"][0]["by_task"])
    head = ["arm", "accuracy", "sd of seeds", *tasks, "CPU s"]
    rows = [
        [
            arm["name"],
            f"**{arm['accuracy']:.3f}**",
            f"{arm['deviation']:.3f}",
            *(f"{arm['by_task'][task]:.2f}" for task in tasks),
            f"{arm['cpu_seconds']:.1f}",
        ]
        for arm in one["arms"]
    ]
    return _table(head, rows)


def comparisons_table(one: _Found) -> list[str]:
    """A line a comparison, as Markdown."""
    head = ["arm", "against", "difference", "95 %", "p (Holm)", "could have been seen", "says"]
    rows = [
        [
            pair["arm"],
            ", ".join(filter(None, (pair["against"], pair["task"], pair["source"]))),
            f"{pair['difference']:+.3f}",
            f"{pair['low']:+.3f} to {pair['high']:+.3f}",
            f"{pair['p_corrected']:.4f}",
            f"{pair['detectable']:.3f}",
            pair["says"],
        ]
        for pair in one["comparisons"]
    ]
    return _table(head, rows)


def how_made(one: _Found) -> str:
    """Seeds, clips, commits, machine, and the command that does it again."""
    counts = one["data"]["tasks"].values()
    clips = {
        name: sum(task.get(name, {}).get("clips", 0) for task in counts)
        for name in ("train", "dev", "test")
    }
    commits = ", ".join(f"`{code['commit'][:10]}`" for code in one["code"] or ())
    command = f"mowe experiments run {one['experiment']} --manifest built/corpus/manifest.jsonl"
    command += " --scale lm" if one["scale"] == "lm" else ""
    return (
        f"{one['budget']['seeds']} seeds; {clips['train']} clips to train, {clips['dev']} in dev, "
        f"{clips['test']} in test; commit {commits or 'unknown'}; {one['machine']['processor']}. "
        f"Again: `{command}{' --test' if one['split'] == 'test' else ''}`"
    )


def routing_page(results: Sequence[_Found]) -> str:
    """The page about routers."""
    parts = [_ROUTING_HEAD]
    for one in results:
        routed = [arm for arm in one["arms"] if arm.get("routing")]
        if routed:
            title = f"## {one['experiment'].capitalize()}"
            parts.append("\n".join([title + _of_test(one), "", *_routing_table(routed)]))
        if pairs := pairs_of(one):
            parts.append(_pulling(pairs))
    shown = [
        arm for one in results for arm in one["arms"] if arm.get("routing", {}).get("dependent")
    ]
    named = {arm["name"]: arm for arm in reversed(shown)}
    for name in ("paper", "expected loss, evenly", "expected loss"):
        if name in named:
            parts.append(_shares(named[name]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _routing_table(arms: Sequence[_Found]) -> list[str]:
    head = [
        "arm", "accuracy", "without weak", "regret", "effective encoders (dependent, by seed)",
        "collapsed", "information about tasks (by chance)", "about labels (by chance)",
    ]  # fmt: skip
    rows = []
    for arm in arms:
        rows.append(
            [
                arm["name"],
                f"{arm['accuracy']:.3f}",
                f"{arm['without_weak']:.3f}" if "without_weak" in arm else "",
                f"{arm['regret']:+.3f}" if "regret" in arm else "",
                *_of_dependent(arm["routing"].get("dependent")),
            ]
        )
    return _table(head, rows)


def _of_dependent(router: _Found | None) -> list[str]:
    """What the table says of a data-dependent router; nothing where there is none."""
    if router is None:
        return ["", "", "", ""]
    return [
        ", ".join(f"{value:.1f}" for value in router["effective_encoders"]),
        f"{router['collapsed']:.0%}",
        *information_of(router),
    ]


def _pulling(pairs: Sequence[Together]) -> str:
    rows = [
        [
            " and ".join(one.tasks),
            *(f"{value:+.3f}" for value in (*one.changes, one.change)),
            *(f"{one.cosines[part]:+.2f}" for part in PARTS),
        ]
        for one in sorted(pairs, key=lambda one: -one.change)
    ]
    head = ["tasks", "first", "second", "mean", *(f"cosine, {part}" for part in PARTS)]
    found = "; ".join(
        f"{one.part} {one.rank_correlation:+.2f} (p = {one.p:.3f})" for one in agreements(pairs)
    )
    lines = [
        "## Does a pair of tasks that pulls the same way help one another?",
        "",
        "The change of each task's accuracy where both are learnt at once instead of alone, each "
        "with as many clips, beside the cosine between the gradients of both after training, on "
        "held-out clips, mean over seeds.",
        "",
        f"Rank correlation of the mean change with the cosine, over {len(pairs)} pairs: {found}; "
        "exact permutations of the tasks' names, corrected for three parts after Holm.",
        "",
        *_table(head, rows),
    ]
    return "\n".join(lines)


def _shares(arm: _Found) -> str:
    shares = arm["routing"]["dependent"]["shares"]
    names = list(next(iter(shares.values())))
    rows = [[task, *(f"{of[name]:.0%}" for name in names)] for task, of in shares.items()]
    title = f"## Who hears what: {arm['name']}"
    said = "Share of each encoder among the picks of the data-dependent router, over all seeds."
    return "\n".join([title, "", said, "", *_table(["task", *names], rows)])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
