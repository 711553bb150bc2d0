"""The Python of the documents, made runnable without trained weights."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a Markdown text in a language; the empty one is that of bare fences."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [body for name, body in fenced if name == language]


def run_python(code: str) -> None:
    """Run a block with the tiny mixture in place of the shipped one."""
    code = code.replace('load("mini")', 'load("tiny-random", untrained=True)')
    exec(compile(code, "snippet", "exec"), {})


def run_example(section: str, **changes: str) -> None:
    """Run the first Python block of a section of docs/ANALYSIS.md, after changes of its text."""
    page = (ROOT / "docs/ANALYSIS.md").read_text(encoding="utf-8")
    code, *_ = blocks(page.split(f"\n## {section}\n")[1], "python")
    for name, value in changes.items():
        code = re.sub(rf"\b{name}=\d+", f"{name}={value}", code)
    run_python(code)
