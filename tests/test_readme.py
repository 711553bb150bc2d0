"""What the documents promise: snippets run, links lead somewhere, commands exist and parse."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import soundfile
import torch
from snippets import blocks, run_python

from mowe.__main__ import main
from mowe.cli.parser import build_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands_in(text: str) -> list[list[str]]:
    """Arguments of every `mowe` of a text's blocks, without what a shell would do."""
    lines = "\n".join(blocks(text, "sh") + blocks(text, "")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines if re.search(r"\bmowe\b", line)]
    found = [one[one.index("mowe") + 1 :] for one in words if "mowe" in one]
    return [one for one in found if one]


def test_the_python_snippet_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("clip.wav", torch.randn(16_000).mul(0.1).numpy(), 16_000)
    (snippet,) = blocks(README, "python")
    run_python(snippet)
    assert "0.0 1.0 (" in capsys.readouterr().out  # start, end and the chosen encoders


@pytest.mark.slow
def test_the_python_snippet_runs_as_it_stands(tmp_path, monkeypatch, capsys, examples):
    monkeypatch.chdir(tmp_path)
    shutil.copy(examples / "dog.ogg", "clip.wav")  # known by its content, not by its ending
    (snippet,) = blocks(README, "python")
    exec(compile(snippet, "README.md", "exec"), {})
    assert "dog" in capsys.readouterr().out.lower()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_of_a_block_is_understood(page):
    text = page.read_text(encoding="utf-8")
    for arguments in commands_in(text):
        build_parser().parse_args(arguments)  # exits with what is wrong
    if page.name == "README.md":
        assert len(commands_in(text)) >= 6


def test_a_command_that_nobody_understands_is_found():
    (arguments,) = commands_in("```sh\npython -m mowe ask a.wav --qestion x  # what?\n```\n")
    assert arguments == ["ask", "a.wav", "--qestion", "x"]
    with pytest.raises(SystemExit):
        build_parser().parse_args(arguments)


@pytest.mark.slow
def test_the_commands_of_the_readme_run_one_after_the_other(
    tmp_path, monkeypatch, examples, mini_assistant
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name, copied in (("dog.ogg", "clip.wav"), ("speech-game.flac", "talk.mp3")):
        shutil.copy(examples / name, tmp_path / copied)
        shutil.copy(examples / name, tmp_path / "folder")
    ended = {
        arguments[0]: main(arguments, assistant_factory=lambda _: mini_assistant)
        for arguments in commands_in(README)
    }
    # two recordings are too few for a pool in balance, and `health` says so
    assert ended == {
        **dict.fromkeys(("ask", "transcribe", "route", "report", "doctor"), 0),
        "health": ended["health"],
    }
    assert ended["health"] in (0, 1)
    assert (tmp_path / "report.html").stat().st_size > 100_000


def test_the_manifest_line_is_valid(tmp_path):
    from mowe.data.manifest import read_manifest

    (line,) = blocks(README, "json")
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips/a.flac", torch.zeros(64_000).numpy(), 16_000)
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(line)
    assert [example.answer for example in read_manifest(manifest)] == ["Good morning."]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_inside_the_repository_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:\s]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_named_in_the_documents_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", pages, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_the_space_header_fits_the_hub_and_the_requirements():
    header = README.split("---")[1]
    fields = dict(re.findall(r"^(\w+): (.+)$", header, re.MULTILINE))
    assert (ROOT / fields["app_file"]).exists()
    assert len(fields["short_description"]) <= 60  # the hub refuses longer ones
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert f"gradio=={fields['sdk_version']}" in requirements
