"""What ships with the code: at the top of a checkout, inside the package of an installed copy."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# an installed copy holds `analysis` and `assets` inside the package (decision 0025)
CHECKOUT = None if (PACKAGE / "analysis" / "__init__.py").is_file() else PACKAGE.parent
ASSETS = (CHECKOUT or PACKAGE) / "assets"
DEFAULT_CHECKPOINT = "mini"
CHECKPOINTS = {"mini": ASSETS / "mowe-mini"}
# what guesses feelings, by the checkpoint that it fits; it has a licence of its own
EMOTION_PARTS = {"mini": ASSETS / "mowe-mini-emotion"}
EXAMPLES = ASSETS / "examples"
MAP = ASSETS / "map"
# where `mowe experiments run` writes; an installed copy looks below the folder it is started in
EXPERIMENT_RESULTS = (CHECKOUT or Path()) / "results" / "experiments"
# what `python -m benchmarks.cost` writes
COST_RESULT = (CHECKOUT or Path()) / "benchmarks" / "results" / "cost.json"
