#!/usr/bin/env bash
# Type check of the package as it is installed, with analysis/ inside. Usage: types.sh PYTHON
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
tree=$root/.mypy_cache/tree
rm -rf "$tree"
mkdir -p "$tree/mowe"
ln -s "$root"/mowe/* "$root/analysis" "$tree/mowe/"
ln -s "$root/corpus" "$root/app.py" "$tree/"
find "$root/mowe/ui" -name "*.pyi" -delete  # Gradio writes these, and mypy would believe them when they are stale
cd "$tree"
"$root/$1" -m mypy --config-file "$root/pyproject.toml" --cache-dir "$root/.mypy_cache" mowe corpus app.py
