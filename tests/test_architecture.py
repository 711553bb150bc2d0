"""The layers, sole homes and names of docs/ARCHITECTURE.md, read from the source with `ast`."""

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A file imports only rooms on lower layers, and files of its own room.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "mowe.errors",
        "mowe.config",
        "mowe.files",
        "mowe.presets",
        "mowe.shipped",
        "mowe.torchaudio_guard",
    ),  # fmt: skip
    ("mowe.audio", "mowe.encoders", "mowe.weights", "mowe.statistics"),
    ("mowe.model",),
    ("mowe.hints",),
    ("mowe.checkpoint",),
    ("mowe.assistant",),
    ("mowe.data",),
    ("mowe.training", "mowe.evaluation", "mowe.analysis", "corpus"),
    ("mowe.experiments",),
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
    "peft": ("mowe.model.tuning", "mowe.model.language_model"),
    "huggingface_hub": ("mowe.weights", "mowe.checkpoint"),
    "accelerate": ("mowe.training",),
    "gradio": ("mowe.ui", "app"),
    "spaces": ("mowe.ui", "app"),
    "starlette": ("mowe.ui",),
    "plotly": ("mowe.analysis",),
    "umap": ("mowe.analysis",),
    "captum": ("mowe.analysis",),
    "sklearn": (
        "mowe.analysis",
        "mowe.evaluation",
        "mowe.experiments",
        "mowe.statistics",
        "mowe.training",
    ),  # fmt: skip
    "nltk": ("mowe.evaluation",),
    "pyarrow": ("mowe.data.records", "mowe.analysis"),
}
PACKAGES = {"sklearn": "scikit-learn", "umap": "umap-learn"}  # import name -> package
OPTIONAL = {"hibari"}  # a synthesiser that corpus building runs in an environment of its own
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_ROOM_SHARE = 0.25  # of the lines of mowe/ and analysis/
TABS = (  # folders of mowe/ui/
    "ask", "drivers", "experiments", "health", "map", "routing", "specialization",
)  # fmt: skip
# Rooms that decode, cut windows or make training targets; there what is asked is only passed on.
DECIDING = (
    "mowe.model", "mowe.hints", "mowe.checkpoint", "mowe.assistant", "mowe.data", "mowe.training",
    "mowe.evaluation", "mowe.cli", "mowe.ui",
)  # fmt: skip
ASKED = {"question", "questions", "instruction", "messages", "task", "tasks"}
LOOKING = {"startswith", "endswith", "find", "lower", "casefold", "removeprefix", "removesuffix"}
PATTERNS = {"search", "match", "fullmatch", "findall", "finditer"}


def sources(root: Path = ROOT) -> list[Path]:
    folders = ("mowe", "analysis", "corpus")
    found = [path for folder in folders for path in (root / folder).rglob("*.py")]
    return sorted(found) + [path for path in (root / "app.py",) if path.exists()]


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    parts = ("mowe", *parts) if parts[0] == "analysis" else parts  # as it is imported
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str, root: Path = ROOT) -> bool:
    """Whether a dotted name is a file or a folder of ours."""
    inner = root.joinpath(*name.replace("mowe.analysis", "analysis").split("."))
    return inner.is_dir() or inner.with_suffix(".py").exists()


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
                yield name if is_module(name, root) else module


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


def import_circles(root: Path = ROOT) -> list[str]:
    """Modules that import one another, directly or around several corners."""
    modules = {module_name(path, root): path for path in sources(root)}
    modules.pop(FRONT, None)  # it names what others made, and loads it when it is used
    after = {
        name: {one for one in imported(path, root) if one in modules and one != name}
        for name, path in modules.items()
    }
    while done := {name for name, wanted in after.items() if not wanted & after.keys()}:
        after = {name: wanted for name, wanted in after.items() if name not in done}
    while free := set(after) - {one for wanted in after.values() for one in wanted}:
        after = {name: wanted for name, wanted in after.items() if name not in free}
    return sorted(after)


def class_names(root: Path = ROOT) -> dict[str, list[str]]:
    """Where every public class and every public type alias of mowe/, analysis/, corpus/ is."""
    places = defaultdict(list)
    for path in sources(root):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(root)))
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                places[node.targets[0].id].append(str(path.relative_to(root)))
    return {
        name: found
        for name, found in places.items()
        if re.fullmatch("[A-Z]+[a-z][A-Za-z]*", name) and len(name) > 1
    }


def tail(node: ast.AST) -> str:
    """What an expression is called in the end: `messages` of `example.messages[-2][1].lower()`."""
    while not isinstance(node, ast.Name | ast.Attribute):
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            return ""
    return node.id if isinstance(node, ast.Name) else node.attr


def is_words(node: ast.AST) -> bool:
    """Whether an expression is written-out text, or several of them."""
    inner = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return any(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in inner)


def looks_at_words(node: ast.AST) -> bool:
    """Whether an expression looks for certain words in what is asked, or in a task's name."""
    if isinstance(node, ast.Compare):
        sides = (node.left, *node.comparators)
        return any(map(is_words, sides)) and any(tail(one) in ASKED for one in sides)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        on_it = node.func.attr in LOOKING and tail(node.func.value) in ASKED
        by_pattern = node.func.attr in PATTERNS and any(tail(one) in ASKED for one in node.args)
        return on_it or by_pattern
    return False


def text_switches(root: Path = ROOT) -> list[str]:
    return [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sources(root)
        if room_of(module_name(path, root)) in DECIDING
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if looks_at_words(node)
    ]


def test_the_paper_imports_nothing_of_ours():
    paper = [path for path in sources() if room_of(module_name(path)) == "mowe.model"]
    assert len(paper) > 5
    names = {name for path in paper for name in imported(path)}
    assert [name for name in names if name.startswith("mowe.hints")] == []


def test_no_module_imports_itself_around_a_corner():
    assert import_circles() == []


def test_a_circle_is_found_and_what_only_leads_to_it_is_not(tmp_path):
    (tmp_path / "mowe/model").mkdir(parents=True)
    for name, wanted in {"a": "b", "b": "c", "c": "a", "d": "a", "e": "f", "f": ""}.items():
        text = f"def f():\n    from mowe.model import {wanted}" if wanted else ""
        (tmp_path / f"mowe/model/{name}.py").write_text(text)
    assert import_circles(tmp_path) == ["mowe.model.a", "mowe.model.b", "mowe.model.c"]


def test_a_tab_of_the_page_knows_no_other_tab():
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for tab in TABS
        for path in (ROOT / "mowe/ui" / tab).glob("*.py")
        for name in imported(path)
        for other in TABS
        if other != tab and f"{name}.".startswith(f"mowe.ui.{other}.")
    ]
    assert found == []
    folders = {path.parent.name for path in (ROOT / "mowe/ui").glob("*/__init__.py")}
    assert folders == {*TABS, "shared"}


def test_no_room_holds_more_than_a_quarter_of_the_lines():
    lines: Counter[str] = Counter()
    for path in sources():
        if (room := str(room_of(module_name(path)))).startswith("mowe"):
            lines[room] += len(path.read_text(encoding="utf-8").splitlines())
    largest, count = lines.most_common(1)[0]
    assert count <= MAX_ROOM_SHARE * lines.total(), f"{largest} has {count} of {lines.total()}"


def test_only_hints_ask_what_an_adapter_is():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        if room_of(module_name(path)) != "mowe.hints"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and tail(node.func) == "isinstance"
        if re.search(r"Adapter\b", ast.unparse(node.args[1]))
    ]
    assert found == []


def test_every_public_class_name_means_one_thing():
    assert {name: found for name, found in class_names().items() if len(found) > 1} == {}


def test_no_words_of_a_question_switch_what_is_done():
    assert text_switches() == []


@pytest.mark.parametrize(
    "line",
    [
        'if "transcribe" in question.lower(): pass',
        'if example.task == "transcribe": pass',
        "if re.search(PATTERN, turn.question): pass",
        'whole = self.question.startswith("Write down")',
        'apart = task.casefold() in ("transcribe", "caption")',
    ],
)
def test_a_pattern_over_a_question_is_found(tmp_path, line):
    (tmp_path / "mowe/assistant").mkdir(parents=True)
    (tmp_path / "mowe/assistant/prompts.py").write_text(line)
    assert set(text_switches(tmp_path)) == {"mowe/assistant/prompts.py:1"}
