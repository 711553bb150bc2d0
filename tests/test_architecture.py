"""The layers and sole homes of docs/ARCHITECTURE.md, read from the source with `ast`."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A file imports only rooms on lower layers, and files of its own room.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("mowe.errors", "mowe.config", "mowe.presets", "mowe.shipped", "mowe.torchaudio_guard"),
    ("mowe.audio", "mowe.encoders", "mowe.weights", "mowe.statistics"),
    ("mowe.model",),
    ("mowe.hints",),
    ("mowe.checkpoint",),
    ("mowe.assistant",),
    ("mowe.data",),
    ("mowe.training", "mowe.evaluation", "mowe.analysis", "corpus"),
    ("mowe.ui", "mowe.cli"),
    ("app", "mowe.__main__"),
)
LAYER_OF = {room: layer for layer, rooms in enumerate(LAYERS) for room in rooms}
GROUND = LAYERS[0]  # the ground files are one vocabulary and may use one another
FRONT = "mowe"  # mowe/__init__.py only names what others made; any file may import it

HOMES = {
    "soundfile": ("mowe.audio", "mowe.data", "mowe.training.bundle", "corpus"),
    "av": ("mowe.audio", "corpus.sound", "corpus"),
    "torchaudio": ("mowe.audio", "mowe.encoders", "mowe.data"),
    "zipfile": ("mowe.weights", "corpus"),
    "pickle": ("mowe.weights",),
    "transformers": ("mowe.encoders", "mowe.hints", "mowe.model.language_model", "mowe.evaluation"),
    "peft": ("mowe.model.language_model",),
    "huggingface_hub": ("mowe.weights", "mowe.checkpoint"),
    "accelerate": ("mowe.training",),
    "gradio": ("mowe.ui", "app"),
    "spaces": ("mowe.ui", "app"),
    "starlette": ("mowe.ui",),
    "plotly": ("mowe.analysis",),
    "umap": ("mowe.analysis",),
    "captum": ("mowe.analysis",),
    "sklearn": ("mowe.analysis", "mowe.evaluation", "mowe.statistics", "mowe.training"),
    "nltk": ("mowe.evaluation",),
    "pyarrow": ("mowe.data.records", "mowe.analysis"),
}
PACKAGES = {"sklearn": "scikit-learn", "umap": "umap-learn"}  # import name -> package
OPTIONAL = {"hibari"}  # a synthesiser that corpus building runs in an environment of its own
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def sources(root: Path = ROOT) -> list[Path]:
    folders = ("mowe", "analysis", "corpus")
    found = [path for folder in folders for path in (root / folder).rglob("*.py")]
    return sorted(found) + [path for path in (root / "app.py",) if path.exists()]


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    parts = ("mowe", *parts) if parts[0] == "analysis" else parts  # as it is imported
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    """The listed room a module belongs to; None for modules that are not ours."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in LAYER_OF or name == FRONT), None)


def imported(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Every module a file imports, at any depth; `from mowe import config` is mowe.config."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            module = node.module or ""
            for alias in node.names:
                name = f"{module}.{alias.name}"
                inner = root.joinpath(*name.removeprefix("mowe.analysis.").split("."))
                ours = inner.is_dir() or inner.with_suffix(".py").exists()
                yield name if ours or name == "mowe.analysis" else module


def layer_faults(root: Path = ROOT) -> list[str]:
    faults = []
    for path in sources(root):
        room = room_of(module_name(path, root))
        if room == FRONT:
            continue
        for target in {room_of(name) for name in imported(path, root)} - {None, FRONT, room}:
            both_ground = room in GROUND and target in GROUND
            if LAYER_OF[target] >= LAYER_OF[room] and not both_ground:
                faults.append(f"{path.relative_to(root)} ({room}) imports {target}")
    return sorted(faults)


def home_faults(root: Path = ROOT) -> list[str]:
    faults = []
    for path in sources(root):
        module = module_name(path, root)
        for library in {name.split(".")[0] for name in imported(path, root)} & set(HOMES):
            if not any(f"{module}.".startswith(f"{home}.") for home in HOMES[library]):
                faults.append(f"{path.relative_to(root)} imports {library}")
    return sorted(faults)


def long_functions(path: Path) -> list[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, functions) and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]


def test_every_file_belongs_to_a_room_on_a_layer():
    homeless = [
        str(path.relative_to(ROOT))
        for path in sources()
        if room_of(module_name(path)) == FRONT and module_name(path) != FRONT
    ]
    assert homeless == []


def test_files_import_only_lower_layers_and_never_a_neighbour():
    assert layer_faults() == []


def test_each_library_has_one_home():
    assert home_faults() == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("mowe/config.py", "from mowe import model", "mowe.config) imports mowe.model"),
        ("mowe/encoders/base.py", "import mowe.audio", "mowe.encoders) imports mowe.audio"),
        ("mowe/model/mixture.py", "import mowe.hints", "mowe.model) imports mowe.hints"),
        ("analysis/maps.py", "def f():\n    import mowe.ui", "mowe.analysis) imports mowe.ui"),
    ],
)  # fmt: skip
def test_upward_and_sideways_imports_are_found(tmp_path, file, text, fault):
    (tmp_path / "mowe").mkdir()
    (tmp_path / "analysis").mkdir()
    (tmp_path / "mowe/model").mkdir()
    (tmp_path / "mowe/encoders").mkdir()
    (tmp_path / file).write_text(text)
    assert layer_faults(tmp_path) == [f"{file} ({fault}"]


def test_a_library_away_from_its_home_is_found(tmp_path):
    (tmp_path / "mowe/model").mkdir(parents=True)
    (tmp_path / "mowe/model/routing.py").write_text("from gradio.components import Audio")
    assert home_faults(tmp_path) == ["mowe/model/routing.py imports gradio"]


def test_everything_imported_is_pinned_in_the_requirements():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower()
    required = {re.split("[=<>]", line)[0] for line in text.splitlines() if line[:1].isalpha()}
    used = {name.split(".")[0] for path in sources() for name in imported(path)}
    theirs = used - set(sys.stdlib_module_names) - {"mowe", "corpus", "app"} - OPTIONAL
    assert {PACKAGES.get(name, name) for name in theirs} - required == set()


def test_files_and_functions_stay_within_their_budgets():
    long_files = [
        str(path.relative_to(ROOT))
        for path in sources()
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_FILE_LINES
    ]
    assert long_files == []
    assert [name for path in sources() for name in long_functions(path)] == []


def test_the_architecture_page_lists_every_room():
    page = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    assert [room for room in LAYER_OF if room not in page] == []
