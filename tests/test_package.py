"""What `import mowe` gives, what an installed copy holds, and that it answers."""

import ast
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import mowe
from mowe import shipped

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("mowe", "analysis", "assets")
BARE = ("analysis", "assets", "ui")  # folders of ours whose names belong to nobody


def run_code(*lines: str) -> str:
    """Standard output of a new process of this Python in the checkout."""
    code = "\n".join(lines)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


# --- import mowe ---


def test_these_names_are_public():
    assert mowe.__all__ == [
        *("Answer", "Assistant", "MoWE", "MoweError", "Recording", "RoutingControl", "Sampling"),
        *("Turn", "load", "load_audio"),
    ]
    assert set(mowe.__all__) <= set(dir(mowe))
    assert [name for name in mowe.__all__ if not callable(getattr(mowe, name))] == []


def test_a_public_name_is_the_thing_itself_and_another_one_is_an_error():
    from mowe.assistant import load
    from mowe.audio import load_audio

    assert (mowe.load, mowe.load_audio) == (load, load_audio)
    with pytest.raises(AttributeError, match="module 'mowe' has no attribute 'laod'"):
        mowe.laod  # noqa: B018


def test_type_checkers_see_the_public_names():
    (block,) = [
        node
        for node in ast.parse((ROOT / "mowe/__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = [alias.name for node in block.body for alias in node.names]
    assert sorted(seen) == sorted(mowe.__all__)


def test_importing_takes_less_than_three_tenths_of_a_second_and_no_torch():
    found = run_code(
        "import sys, time",
        "before = time.process_time()",
        "import mowe",
        "print('torch' in sys.modules, 'numpy' in sys.modules, time.process_time() - before)",
    )
    torch, numpy, seconds = found.split()
    assert (torch, numpy) == ("False", "False")
    assert float(seconds) < 0.3  # 0.05 on a quiet machine


# --- what an installed copy holds ---


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout, built without a network from a copy that holds nothing else."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in BUILT_FROM:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(out), str(source))
    (built,) = out.glob("*.whl")
    return built


def pip(command: str, *words: str, python: str = sys.executable) -> None:
    offline = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, command, *offline, *words], check=True
    )


def test_a_wheel_brings_one_name_to_site_packages(wheel):
    names = {one.split("/")[0] for one in zipfile.ZipFile(wheel).namelist()}
    assert names == {"mowe", f"mowe_audio-{mowe.__version__}.dist-info"}


def test_a_wheel_holds_every_file_that_is_read_at_run_time(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [path for name in BUILT_FROM for path in (ROOT / name).rglob("*") if path.is_file()]
    expected = {
        f"mowe/{path.relative_to(ROOT).as_posix().removeprefix('mowe/')}"
        for path in files
        if path.suffix not in (".pyc", ".pyi")
    }
    assert expected - inside == set()
    assert len(expected) > 1000  # the map's clips among them


def test_a_wheel_has_the_command(wheel):
    with zipfile.ZipFile(wheel) as file:
        (entries,) = [one for one in file.namelist() if one.endswith("entry_points.txt")]
        assert "mowe = mowe.__main__:main" in file.read(entries).decode()


def bare_imports(text: str) -> list[str]:
    """Imports of our folders by a name that would be general in site-packages."""
    return re.findall(rf"^\s*(?:import|from) (?:{'|'.join(BARE)})\b.*", text, re.MULTILINE)


def test_nothing_imports_a_folder_of_ours_by_its_bare_name():
    folders = ("mowe", "analysis", "corpus", "benchmarks", "docs", "tests", "scripts")
    files = [path for name in folders for path in (ROOT / name).rglob("*") if path.is_file()]
    read = [path for path in files if path.suffix in (".py", ".md")]
    found = {
        str(path.relative_to(ROOT)): bare
        for path in [*read, *ROOT.glob("*.py"), *ROOT.glob("*.md")]
        if (bare := bare_imports(path.read_text(encoding="utf-8")))
    }
    assert found == {}
    assert bare_imports("x\nimport analysis.records\n") == ["import analysis.records"]


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Folder of the programs of an environment that holds the wheel, and sees what it needs."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    pip("install", str(wheel), python=str(folder / "bin" / "python"))
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.mark.slow
def test_an_installed_copy_answers_with_the_shipped_checkpoint(installed, tmp_path, examples):
    command = [installed / "mowe", "ask", examples / "dog.ogg", "-q", "Which sound is this?"]
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["preset"], answer["notice"]) == ("mini", "")
    assert "dog" in answer["text"].lower()


@pytest.mark.slow
def test_an_installed_copy_has_its_own_analysis_page_and_assets_and_no_recipes(installed, tmp_path):
    lines = (
        "import mowe, mowe.analysis, mowe.ui, sys",
        "from mowe.shipped import ASSETS, CHECKPOINTS, EXAMPLES, MAP",
        "own = mowe.__path__[0]",
        "assert mowe.__path__ == [own], mowe.__path__",
        "assert all(str(one).startswith(own) for one in (ASSETS, mowe.analysis.__file__))",
        "assert all(one.is_dir() for one in (*CHECKPOINTS.values(), EXAMPLES, MAP))",
        "print(own)",
    )
    done = subprocess.run(
        [installed / "python", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed.parent))
    asked = [installed / "mowe", "corpus", "--out", tmp_path / "corpus"]
    refused = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "lie in the repository" in refused.stderr


def test_a_checkout_finds_its_assets_at_the_top():
    assert shipped.CHECKOUT == ROOT
    assert shipped.ASSETS == ROOT / "assets"
