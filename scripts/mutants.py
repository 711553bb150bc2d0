"""Break the paper's mechanism, one line at a time, and list what no test notices.

Usage: python scripts/mutants.py [WORD ...]    only mutants whose file, line or reason has a WORD

The lines are changed in a copy of the tree. Ends with 1 if one of the mutants in `NAMED` survives,
or if a line to change is not there any more.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TESTS = ("test_paper.py", "test_routing.py", "test_fusion_adapter.py", "test_control.py")
MODEL, TRAINED = "test_model.py::test_", "test_trained_encoders.py::test_"
ALONE = f"{MODEL}an_examples_tokens_do_not_depend_on_batch_mates_or_padding"
MAX_SECONDS = 120  # of one mutant's tests; a mutant that hangs counts as noticed


class Mutant(NamedTuple):
    """One changed line of `mowe/model/`."""

    file: str
    old: str  # stands in the file exactly once
    new: str
    why: str  # what is wrong with it
    tests: tuple[str, ...] = TESTS  # files or single tests under tests/


# What the paper's mechanism stands and falls with: none of these may survive.
NAMED = (
    Mutant(
        "routing.py",
        "second = self._weighed(keep_top_k(self.smoothed(dependent), self.top_k))",
        "second = self._weighed(keep_top_k(self.smoothed(dependent), self.top_k)).detach()",
        "the data-dependent router learns nothing from the next token",
    ),
    Mutant(
        "routing.py",
        "both = (self.independent_weights, self.dependent_weights)",
        "both = (self.dependent_weights, self.independent_weights)",
        "z_indep and z_dep change places",
    ),
    Mutant(
        "routing.py",
        "first = self._weighed(keep_top_k(independent, self.top_k))",
        "first = self._weighed(keep_top_k(self.smoothed(independent), self.top_k))",
        "the data-independent router is smoothed",
    ),
    Mutant(
        "routing.py",
        "return RoutingLoss(independent + dependent - diversity,",
        "return RoutingLoss(independent + dependent + diversity,",
        "diversity is punished",
    ),
    Mutant(
        "routing.py",
        "step = step or StepRouting(weights.detach().mean(dim=0), len(weights))",
        "step = StepRouting(weights.detach().mean(dim=0), step.examples if step else len(weights))",
        "diversity is averaged over micro-batches",
    ),
    Mutant(
        "routing.py",
        "return probabilities.masked_fill(~_largest(probabilities, top_k), 0.0)",
        "return nn.functional.normalize("
        "probabilities.masked_fill(~_largest(probabilities, top_k), 0.0), p=1.0, dim=-1)",
        "a pick weighs 1, so no gradient reaches its router",
    ),
    Mutant(
        "routing.py",
        "return picked / picked.sum(dim=-1, keepdim=True) if self.full_weight else picked",
        "return picked",
        "picks at full weight weigh their probabilities",
    ),
    Mutant(
        "routing.py",
        "kept = frames.float() * mask.unsqueeze(-1)",
        "kept = frames.float()",
        "what is behind an example's end decides its routing",
    ),
    Mutant(
        "routing.py",
        "return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp_min(1)",
        "return kept.mean(dim=1)",
        "the mean counts padding",
    ),
)
OTHERS = (
    Mutant(
        "routing.py",
        "independent = self.independent_logits.expand(len(pooled), -1).float()",
        "independent = self.independent_logits.detach().expand(len(pooled), -1).float()",
        "the data-independent router never learns",
    ),
    Mutant(
        "routing.py",
        "INDEPENDENT_STD = 0.02",
        "INDEPENDENT_STD = 0.0",
        "the data-independent router starts where its entropy has no gradient",
    ),
    Mutant(
        "routing.py",
        'if self.smoothing == "as-printed" and (self.training or self.smooth_inference):',
        'if self.smoothing == "as-printed" and self.training:',
        "inference has another scale than training",
    ),
    Mutant(
        "routing.py",
        'if self.smoothing == "as-printed" and (self.training or self.smooth_inference):',
        'if self.smoothing == "as-printed":',
        "checkpoints from before answer differently",
    ),
    Mutant(
        "routing.py",
        'if self.smoothing == "as-printed" and (self.training or self.smooth_inference):',
        "if self.training or self.smooth_inference:",
        "`off` and `explore` smooth as well",
    ),
    Mutant(
        "routing.py",
        "return (1.0 - amount) * weights + amount * amount / weights.shape[-1]",
        "return (1.0 - amount) * weights + amount / weights.shape[-1]",
        "epsilon is not the printed one",
    ),
    Mutant(
        "routing.py",
        'if self.smoothing == "explore" and self.training:',
        'if self.smoothing == "explore":',
        "answers are drawn",
    ),
    Mutant(
        "routing.py",
        "explores = torch.rand_like(probabilities[:, :1]) < amount",
        "explores = torch.rand_like(probabilities[:, :1]) > amount",
        "nine in ten explore",
    ),
    Mutant(
        "routing.py",
        "explores = torch.rand_like(probabilities[:, :1]) < amount",
        "explores = torch.rand_like(probabilities[:1, :1]) < amount",
        "a batch explores as one",
    ),
    Mutant(
        "routing.py",
        "drawn = _largest(torch.rand_like(probabilities), top_k)",
        "drawn = _largest(probabilities, top_k)",
        "exploration picks what the router would pick",
    ),
    Mutant(
        "routing.py",
        "full = 1.0 / top_k + (probabilities - probabilities.detach())",
        "full = probabilities",
        "an explored encoder is hardly heard",
    ),
    Mutant(
        "routing.py",
        "full = 1.0 / top_k + (probabilities - probabilities.detach())",
        "full = torch.full_like(probabilities, 1.0 / top_k)",
        "the router learns nothing from what was explored",
    ),
    Mutant(
        "routing.py",
        "return found.scatter_(-1, values.topk(count, dim=-1).indices, True)",
        "return found.scatter_(-1, values.topk(count, dim=-1, largest=False).indices, True)",
        "the least likely encoder is picked",
    ),
    Mutant(
        "routing.py",
        "independent = independent.softmax(dim=-1)  # r_indep",
        "independent = independent.softmax(dim=0)  # r_indep",
        "probabilities over the batch",
    ),
    Mutant(
        "routing.py",
        "dependent = dependent.softmax(dim=-1)  # r_dep",
        "dependent = dependent.sigmoid()  # r_dep",
        "weights that do not sum to 1",
    ),
    Mutant(
        "routing.py",
        "return -(weights * weights.clamp_min(1e-12).log()).sum(dim=-1).mean()",
        "return -(weights * weights.clamp_min(1e-12).log2()).sum(dim=-1).mean()",
        "bits instead of nats",
    ),
    Mutant(
        "routing.py",
        "return -(weights * weights.clamp_min(1e-12).log()).sum(dim=-1).mean()",
        "return -(weights * weights.clamp_min(1e-12).log()).sum()",
        "the entropy grows with the batch",
    ),
    Mutant(
        "routing.py",
        "return -(weights * weights.clamp_min(1e-12).log()).sum(dim=-1).mean()",
        "return (weights * weights.clamp_min(1e-12).log()).sum(dim=-1).mean()",
        "confidence is punished",
    ),
    Mutant(
        "routing.py",
        "return RoutingLoss(independent + dependent - diversity,",
        "return RoutingLoss(dependent - diversity,",
        "nothing makes the data-independent router confident",
    ),
    Mutant(
        "routing.py",
        "slope = -step.average.clamp_min(1e-12).log() - 1.0  # of the entropy, at p",
        "slope = step.average.clamp_min(1e-12).log() - 1.0",
        "the gradient of diversity points the other way",
    ),
    Mutant(
        "routing.py",
        "diversity = routing_diversity(routing.dependent, step)",
        "diversity = routing_diversity(routing.dependent)",
        "each micro-batch counts as a whole step's diversity",
    ),
    Mutant(
        "routing.py",
        "share = len(present) / step.examples if step else 1.0",
        "share = 1.0",
        "the entropies grow with the number of micro-batches",
    ),
    Mutant(
        "routing.py",
        "return torch.stack([weights > 0 for weights in self.weights]).any(dim=0)",
        "return torch.stack([weights > 0 for weights in self.weights]).all(dim=0)",
        "an encoder that one router picked does not run",
    ),
    Mutant(
        "routing.py",
        "return torch.stack([weights > 0 for weights in self.weights]).any(dim=0)",
        "return torch.ones_like(self.weights[0], dtype=torch.bool)",
        "every encoder runs",
    ),
    Mutant(
        "fusion.py",
        "share = weight[features.rows, position].view(-1, 1, 1)",
        "share = weight[features.rows, position].view(-1, 1, 1).detach()",
        "no router learns from the next token",
    ),
    Mutant(
        "fusion.py",
        "share = weight[features.rows, position].view(-1, 1, 1)",
        "share = weight[features.rows, 0].view(-1, 1, 1)",
        "an encoder is weighed by another one's weight",
    ),
    Mutant(
        "fusion.py",
        "mixed[index] = mixed[index].index_add(0, features.rows, share * aligned)",
        "mixed[index] = mixed[index].index_add(0, features.rows, aligned)",
        "the weight does not multiply the features",
    ),
    Mutant(
        "fusion.py",
        "mixed[index] = mixed[index].index_add(0, features.rows, share * aligned)",
        "mixed[index] = mixed[index].index_copy(0, features.rows, share * aligned)",
        "the last of several picks stands for all",
    ),
    Mutant(
        "fusion.py",
        "mixed[index] = mixed[index].index_add(0, features.rows, share * aligned)",
        "mixed[0] = mixed[0].index_add(0, features.rows, share * aligned)",
        "both routers share one place",
    ),
    Mutant(
        "fusion.py",
        "return torch.cat([base.float(), *mixed], dim=-1)",
        "return torch.cat([*mixed, base.float()], dim=-1)",
        "another order than the paper's",
    ),
    Mutant(
        "fusion.py",
        "projected = self.projections[position](features.frames.float())",
        "projected = self.projections[0](features.frames.float())",
        "every encoder goes through the first one's projection",
        ("test_paper.py", f"{MODEL}forcing_an_encoder_changes_the_tokens"),
    ),
    Mutant(
        "fusion.py",
        "projected = projected * features.mask.unsqueeze(-1)",
        "pass",
        "the projection's bias sounds behind an example's end",
        (*TESTS, ALONE),
    ),
    Mutant(
        "fusion.py",
        "places = torch.searchsorted(self.rows, rows)",
        "places = torch.arange(len(rows))",
        "a copy gets another recording's features",
    ),
    Mutant(
        "mixture.py",
        "total = next_token + self.config.routing.loss_weight * routing.total",
        "total = next_token",
        "no routing loss",
    ),
    Mutant(
        "mixture.py",
        "total = next_token + self.config.routing.loss_weight * routing.total",
        "total = next_token + routing.total",
        "the routing loss weighs as much as the next token",
    ),
    Mutant(
        "mixture.py",
        "first = self._first_copies",
        "first = range(len(self.pool))",
        "copies of a frozen encoder listen one by one",
    ),
    Mutant(
        "mixture.py",
        "waveforms = audio.waveforms[rate][rows, : int(lengths.max())]",
        "waveforms = audio.waveforms[rate][: len(rows), : int(lengths.max())]",
        "an encoder listens to recordings that did not choose it",
        ("test_paper.py", ALONE),
    ),
    Mutant(
        "mixture.py",
        "return controlled(self.router, base.frames, base.mask, control)",
        "return controlled(self.router, base.frames, base.mask, None)",
        "overrides are ignored",
        (f"{MODEL}forcing_an_encoder_changes_the_tokens",),
    ),
    Mutant(
        "mixture.py",
        "with nullcontext() if encoder.trained else torch.no_grad():",
        "with torch.no_grad():",
        "trained encoders get no gradient",
        (f"{TRAINED}gradients_flow_through_an_encoder_only_where_it_is_trained",),
    ),
    Mutant(
        "tuning.py",
        'elif config.train == "none":',
        "elif not config.train:",
        "frozen encoders are trained",
        (f"{TRAINED}only_trained_encoders_enter_training_mode",),
    ),
    Mutant(
        "control.py",
        'alone = {"independent": self.independent, "dependent": self.dependent}[router]',
        'alone = {"independent": self.dependent, "dependent": self.independent}[router]',
        "the other router is overridden",
    ),
    Mutant(
        "control.py",
        "return forced * weights.sum(dim=-1, keepdim=True) / forced.sum()",
        "return forced * weights.sum(dim=-1, keepdim=True)",
        "two forced encoders are twice as loud",
    ),
    Mutant(
        "control.py",
        "return weights.masked_fill(_named(names, override.mask, weights), 0.0)",
        "return weights",
        "a masked encoder runs on its share of the smoothing",
    ),
    Mutant(
        "control.py",
        "every = None if dependent is None else router.smoothed(dependent)",
        "every = dependent",
        "dense routing has another scale than training",
    ),
    Mutant(
        "adapter.py",
        "frames = frames * mask.unsqueeze(-1)",
        "pass",
        "padding reaches the last token",
    ),
    Mutant(
        "adapter.py",
        "return padded.view(len(mask), tokens, frames_per_token).any(dim=-1)",
        "return padded.view(len(mask), tokens, frames_per_token).all(dim=-1)",
        "the end of a recording is not heard",
    ),
)


def main(words: list[str]) -> int:
    """Run the tests against every mutant; 0 if no named one survives."""
    mutants = [one for one in (*NAMED, *OTHERS) if not words or any(w in str(one) for w in words)]
    if lost := [one for one in mutants if _count(ROOT, one) != 1]:
        for one in lost:
            print(f"{one.file} holds this line {_count(ROOT, one)} times, not once: {one.old}")
        return 1
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mowe-mutants-") as folder:
        tree = _copied(Path(folder))
        _warm_up(tree)
        every = tuple(dict.fromkeys(test for one in mutants for test in one.tests))
        if _noticed(tree, every):
            print("the tests fail without any mutant: python -m pytest " + " ".join(_paths(every)))
            return 1
        survivors = [one for one in mutants if not _tried(tree, one)]
    minutes = (time.monotonic() - started) / 60
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} noticed in {minutes:.1f} minutes")
    for one in survivors:
        print(f"survives: {one.file}: {one.why}\n  - {one.old}\n  + {one.new}")
    return int(any(one in NAMED for one in survivors))


def _count(tree: Path, mutant: Mutant) -> int:
    return (tree / "mowe/model" / mutant.file).read_text(encoding="utf-8").count(mutant.old)


def _copied(folder: Path) -> Path:
    """What the tests need: the package and the tests copied, everything else as links."""
    for path in ROOT.iterdir():
        if path.name in ("mowe", "tests"):
            skip = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(path, folder / path.name, ignore=skip)
        elif not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    return folder


def _warm_up(tree: Path) -> None:
    """Import the libraries once, for all mutants; our own modules are imported by each."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    sys.dont_write_bytecode = (
        True  # a changed file of equal size and second would not be read again
    )
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    import pytest  # noqa: F401
    import torch

    import mowe.checkpoint  # noqa: F401

    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.zeros(1)
    torch.optim.AdamW([weight]).step()  # its first step imports a lot
    for name in [name for name in sys.modules if name.split(".")[0] == "mowe"]:
        del sys.modules[name]


def _tried(tree: Path, mutant: Mutant) -> bool:
    """Whether a test notices the mutant."""
    path = tree / "mowe/model" / mutant.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
    noticed = _noticed(tree, mutant.tests)
    path.write_text(whole, encoding="utf-8")
    print(f"{'noticed ' if noticed else 'SURVIVES'}  {mutant.file}: {mutant.why}", flush=True)
    return noticed


def _noticed(tree: Path, tests: tuple[str, ...]) -> bool:
    """Whether a test fails, in a process of its own."""
    child = os.fork()
    if child == 0:
        signal.alarm(MAX_SECONDS * len(tests))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        import pytest

        options = ["-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(tree)]
        os._exit(int(pytest.main([*options, *_paths(tests)])))
    _, status = os.waitpid(child, 0)
    return status != 0


def _paths(tests: tuple[str, ...]) -> list[str]:
    return [f"tests/{test}" for test in tests]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
