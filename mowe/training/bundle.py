"""`python -m mowe.training.bundle`: all a training needs, for a machine without any registry.

Project, weights, corpus and, if wanted, wheels go into one tar stream, cut into files below 60 MB
beside their sha256 sums and two scripts: `train.sh` checks, unpacks and trains, or continues;
`package.sh` makes a checkpoint in files below 16 MB. `docs/TRAINING.md` says how to use them.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
from tqdm import tqdm

from mowe import weights
from mowe.audio import SAMPLE_RATE
from mowe.audio.writing import write_opus
from mowe.checkpoint import read_config, sources
from mowe.config import to_dict
from mowe.data.manifest import read_manifest
from mowe.errors import ConfigError, ManifestError, MoweError
from mowe.files import file_sha256, read_json, read_jsonl
from mowe.training.config import read_training_config
from mowe.training.run import read_mixture

ROOT = Path(__file__).parents[2]
CHUNK_BYTES = 59_000_000
SUMS, ABOUT, RUN = "SHA256SUMS", "bundle.json", "run.json"
OPUS_BITS = 32_000  # a second
WHEELS = ("none", "rest", "cpu", "cuda")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_LEFT_OUT = ("assets/", "docs/images/")  # of the project; no training reads them
_TOOLS = ("mypy==", "playwright==", "ruff==")  # large, and pinned for development only

TRAIN = """\
#!/usr/bin/env bash
# Checks and unpacks the bundle once, then trains; started again, it continues.
# PYTHON: an interpreter with the project's requirements (not needed where wheels are inside).
# WORK: where to unpack and train. PROCESSES: how many, one per GPU.
# ACCELERATE_CONFIG: settings of `accelerate launch`, instead of PROCESSES.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${WORK:-$here/work}
python=${PYTHON:-python3}
stamp=$work/.unpacked-$(sha256sum < "$here/SHA256SUMS" | cut -c 1-16)
if [ ! -e "$stamp" ]; then
  (cd "$here" && sha256sum --check --quiet SHA256SUMS)
  mkdir -p "$work"
  cat "$here"/bundle.tar.[0-9]* | tar -x -C "$work"
  touch "$stamp"
fi
if [ -d "$work/wheels" ]; then
  if [ ! -e "$work/env/.ready" ]; then
    "$python" -m venv --system-site-packages "$work/env"
    "$work/env/bin/python" -m pip install --no-index --no-deps "$work"/wheels/*.whl
    touch "$work/env/.ready"
  fi
  python=$work/env/bin/python
fi
export MOWE_CACHE=$work/cache HF_HUB_CACHE=$work/hub HF_HUB_OFFLINE=1
export PYTHONPATH=$work/project PYTHONUNBUFFERED=1
cd "$work"
if [ "${1-}" = package ]; then
  [ -d run/final ] || { echo "the training has not finished: run train.sh first" >&2; exit 1; }
  exec "$python" -m mowe export run/final --out "${2:-$here/checkpoint}"
elif [ -n "${ACCELERATE_CONFIG-}" ]; then
  launch=(-m accelerate.commands.launch --config_file "$ACCELERATE_CONFIG")
elif [ "${PROCESSES:-1}" -gt 1 ]; then
  nvidia-smi -L >/dev/null 2>&1 || export ACCELERATE_USE_CPU=true
  launch=(-m torch.distributed.run --standalone --nproc_per_node "$PROCESSES")
else
  launch=()
fi
exec "$python" "${launch[@]}" -m mowe train --config run.json
"""

PACKAGE = """\
#!/usr/bin/env bash
# The finished training as a checkpoint in half precision, in files below 16 MB.
# package.sh [FOLDER]; by default the folder "checkpoint" beside this script.
set -euo pipefail
folder=$(realpath -m "${1:-$(dirname "${BASH_SOURCE[0]}")/checkpoint}")
exec "$(dirname "${BASH_SOURCE[0]}")/train.sh" package "$folder"
"""


class ChunkWriter(io.RawIOBase):
    """A write-only stream that continues in the next file before one gets too long."""

    def __init__(self, folder: Path, size: int) -> None:
        """Write `bundle.tar.000`, `bundle.tar.001`, ... of at most `size` bytes into a folder."""
        super().__init__()
        self.paths: list[Path] = []
        self._folder, self._size, self._left = folder, size, 0
        self._file: io.BufferedWriter | None = None

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Write all of `data`, cut where a file is full."""
        view = memoryview(data)
        written = len(view)
        while len(view):
            if self._file is None or not self._left:
                self._next()
            assert self._file is not None
            self._file.write(view[: self._left])
            taken = min(len(view), self._left)
            self._left, view = self._left - taken, view[taken:]
        return written

    def close(self) -> None:
        """Close the last file."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _next(self) -> None:
        if self._file is not None:
            self._file.close()
        self.paths.append(self._folder / f"bundle.tar.{len(self.paths):03d}")
        self._file, self._left = self.paths[-1].open("wb"), self._size


@dataclass(frozen=True)
class Packed:
    """One file of the bundle: where it lies, and its place after unpacking."""

    path: Path
    name: str


def make_bundle(
    corpus: Path, recipe: Path, out: Path, *, wheels: str = "none", chunk_bytes: int = CHUNK_BYTES
) -> list[Path]:
    """Write a bundle.

    Args:
        corpus: Folder of `manifest.jsonl` and its clips.
        recipe: Settings of the run; folders in it are replaced by those of the bundle.
        out: New or empty folder.
        wheels: `none`: the machine has every requirement; `rest`: it has torch and torchaudio;
            `cpu`, `cuda`: it has nothing but a Python like this one, on a system like this one.
        chunk_bytes: Length of a file.

    Returns:
        The files written.

    Raises:
        ConfigError: If the recipe does not fit, or `out` is not empty.
        ManifestError: If the corpus is wrong.
        WeightsError: If a component is missing and cannot be fetched.
    """
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    read_manifest(corpus / "manifest.jsonl")
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        files = [*_recipe(recipe, Path(scratch)), *_weights(recipe, Path(scratch)), *_project(out)]
        files += _corpus(corpus, Path(scratch))
        files += _wheels(wheels, Path(scratch)) if wheels != "none" else []
        writer = ChunkWriter(out, chunk_bytes)
        with writer, tarfile.open(fileobj=writer, mode="w|", dereference=True) as tar:
            for file in tqdm(files, desc="packing", unit="file"):
                tar.add(file.path, file.name, recursive=False)
    paths = [*writer.paths, *_scripts(out), _about(out, corpus, recipe, wheels)]
    sums = "".join(f"{file_sha256(path)}  {path.name}\n" for path in paths)
    (out / SUMS).write_text(sums, encoding="utf-8")
    return [*paths, out / SUMS]


def _recipe(recipe: Path, scratch: Path) -> Iterator[Packed]:
    """The settings with the bundle's own folders, and what they name."""
    config = read_training_config(recipe)
    fields = read_json(recipe, ConfigError) | {"output": "run"}
    fields["data"] |= {"manifest": "corpus/manifest.jsonl", "features": "features"}
    if config.preset.endswith(".json"):
        mixture = scratch / "mixture.json"
        mixture.write_text(json.dumps(to_dict(read_mixture(config.preset))), encoding="utf-8")
        fields["preset"] = mixture.name
        yield Packed(mixture, mixture.name)
    if config.start is not None:
        fields["start"] = "start"
        yield from _tree(config.start, "start")
    settings = scratch / RUN
    settings.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    yield Packed(settings, RUN)


def _weights(recipe: Path, scratch: Path) -> Iterator[Packed]:
    """Every frozen component, where `MOWE_CACHE` and `HF_HUB_CACHE` will be looked through."""
    config = read_training_config(recipe)
    mixture = read_config(config.start) if config.start else read_mixture(config.preset)
    for source in sources(mixture):
        kind, _, name = source.partition(":")
        folder = weights.resolve(source)
        if kind == "folder":
            raise ConfigError(f"{source} cannot be bundled: name a package or a hub model")
        if folder is None:
            continue
        if kind == "package":
            yield from _tree(folder, f"cache/{folder.name}")
            continue
        model = f"hub/{folder.parents[1].name}"  # models--OWNER--NAME/snapshots/COMMIT
        yield from _tree(folder, f"{model}/snapshots/{folder.name}")
        # the hub's client may have gone from `main` to a converted copy, which takes the network
        reference = scratch / model / (name.partition("@")[2] or "main")
        reference.parent.mkdir(parents=True)
        reference.write_text(folder.name, encoding="utf-8")
        yield from _tree(scratch / model, f"{model}/refs")


def _project(out: Path) -> Iterator[Packed]:
    """The project as it lies here, tracked or not yet, without what git ignores."""
    for name in sorted(_git("ls-files", "-co", "--exclude-standard", "-z").split("\0")):
        path = ROOT / name
        outside = path.is_file() and not path.resolve().is_relative_to(out.resolve())
        if outside and not name.startswith(_LEFT_OUT):
            yield Packed(path, f"project/{name}")


def _corpus(corpus: Path, scratch: Path) -> Iterator[Packed]:
    """The manifest's clips, speech as Opus, and the manifest with their new names."""
    lines = [line for _, line in read_jsonl(corpus / "manifest.jsonl", ManifestError)]
    clips = list(dict.fromkeys(line["audio"] for line in lines if line.get("audio")))
    if absolute := [clip for clip in clips if Path(clip).is_absolute()]:
        raise ConfigError(f"{absolute[0]} lies outside the corpus and cannot be bundled")

    def packed(clip: str) -> Packed:
        source = corpus / clip
        if soundfile.info(source).samplerate != SAMPLE_RATE:
            return Packed(source, clip)
        target = scratch / "corpus" / f"{clip}.opus"  # a.wav and a.flac may lie side by side
        samples, rate = soundfile.read(source, dtype="float32")
        write_opus(target, samples, rate, OPUS_BITS)
        return Packed(target, f"{clip}.opus")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(clips, tqdm(pool.map(packed, clips), "clips", len(clips)), strict=True))
    for line in lines:
        if line.get("audio"):
            line["audio"] = found[line["audio"]].name
    manifest = scratch / "manifest.jsonl"
    body = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    manifest.write_text(body, encoding="utf-8")
    yield Packed(manifest, "corpus/manifest.jsonl")
    for one in found.values():
        yield Packed(one.path, f"corpus/{one.name}")
    if (card := corpus / "CORPUS.md").is_file():  # licences and sources travel with the sounds
        yield Packed(card, "corpus/CORPUS.md")


def _wheels(kind: str, scratch: Path) -> Iterator[Packed]:
    """Wheels of the pinned versions for this Python and system."""
    folder = scratch / "wheels"
    pins = (ROOT / "constraints-cpu.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in pins if line and not line.startswith(("#", *_TOOLS))]
    torch = [line for line in lines if line.startswith(("torch==", "torchaudio=="))]
    rest = scratch / "rest.txt"
    rest.write_text("\n".join(line for line in lines if line not in torch), encoding="utf-8")
    _download(folder, "--no-deps", "-r", str(rest))
    if kind == "cpu":
        _download(folder, "--no-deps", "--extra-index-url", CPU_INDEX, *torch)
    if kind == "cuda":  # PyPI's build; its CUDA libraries are wheels too
        _download(folder, *torch)
    yield from _tree(folder, "wheels")


def _download(folder: Path, *what: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:"]
    if subprocess.run([*command, "-d", str(folder), *what]).returncode:
        raise ConfigError("pip could not download the wheels; its message is above")


def _scripts(out: Path) -> Iterator[Path]:
    for name, text in (("train.sh", TRAIN), ("package.sh", PACKAGE)):
        path = out / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        yield path


def _about(out: Path, corpus: Path, recipe: Path, wheels: str) -> Path:
    """What is inside, for people."""
    about = {
        "commit": _git("rev-parse", "HEAD").strip(),
        "changed_since": bool(_git("status", "--porcelain").strip()),
        "recipe": recipe.name,
        "preset": read_training_config(recipe).preset,
        "corpus_manifest_sha256": file_sha256(corpus / "manifest.jsonl"),
        "wheels": wheels,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    path = out / ABOUT
    path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return path


def _tree(folder: Path, name: str) -> Iterator[Packed]:
    """Every file below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield Packed(path, f"{name}/{path.relative_to(folder).as_posix()}")


def _git(*arguments: str) -> str:
    """Output of git in the project.

    Raises:
        ConfigError: If the project is not a git checkout, or there is no git.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigError(f"a bundle is made from a git checkout: {error}") from error
    return done.stdout.decode()


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m mowe.training.bundle", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of manifest.jsonl")
    parser.add_argument("--recipe", type=Path, required=True, help="JSON settings of the run")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--wheels", choices=WHEELS, default="none")
    given = parser.parse_args(arguments)
    try:
        paths = make_bundle(given.corpus, given.recipe, given.out, wheels=given.wheels)
    except MoweError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in paths:
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
