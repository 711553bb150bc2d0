#!/usr/bin/env bash
# From an empty disk to a checkpoint of the kind that ships: every command, in its order.
#
#   runs/mini.sh                hours on two cores (the corpus 16 minutes, LoRA on questions an hour)
#   SIZE=small runs/mini.sh     the same commands with a few steps each: shows that they run, teaches nothing
#
# The shipped tensors were made in this order, not by this script: the model card (assets/mowe-mini/README.md)
# names the steps that nobody can repeat. A step whose result is there is skipped; a training that was
# killed resumes. Everything lies in OUT. Settings, by environment:
#
#   OUT=built/mini      CORPUS=OUT/corpus       PYTHON=.venv/bin/python
#   CORPUS_ARGS="--esc10 FOLDER --fsdd FOLDER --ravdess FOLDER --people FOLDER"     what no package holds
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
size=${SIZE:-full}
case $size in full | small) ;; *)
  echo "SIZE is full or small, found $size" >&2
  exit 2 ;;
esac
out=${OUT:-built/mini$([ "$size" = full ] || echo -small)}
corpus=${CORPUS:-$out/corpus}
python=${PYTHON:-$root/.venv/bin/python}
recipes=$root/mowe/training/recipes
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}

few() { [ "$size" = full ] || echo "$@"; }   # what a small run is told beside
either() { [ "$size" = full ] && echo "$1" || echo "$2"; } # of a full one, of a small one

step() { # step RESULT COMMAND...: run it unless there is what it writes last
  if [ -e "$1" ]; then echo "== $1 is there"; else
    echo "== $1: ${*:2}"
    "${@:2}"
  fi
}

train() { # train NAME RECIPE SETTING=JSON...: a recipe with this run's folders
  "$python" - "$recipes/$2.json" "$out/$1.json" "output=\"$out/$1\"" "data.features=\"$out/features\"" \
    "data.manifest=\"$corpus/manifest.jsonl\"" "${@:3}" <<'PY'
import json, pathlib, sys

source, target, *settings = sys.argv[1:]
recipe = json.loads(pathlib.Path(source).read_text())
for setting in settings:
    place, _, value = setting.partition("=")
    *sections, name = place.split(".")
    section = recipe
    for one in sections:
        section = section[one]
    section[name] = json.loads(value)
pathlib.Path(target).write_text(json.dumps(recipe, indent=2) + "\n")
PY
  step "$out/$1/final/sums.json" "$python" -m mowe train --config "$out/$1.json"
}

mkdir -p "$out"
# shellcheck disable=SC2086  # several arguments in one variable
step "$corpus/manifest.jsonl" "$python" -m mowe corpus --out "$corpus" --size "$size" --jobs 2 ${CORPUS_ARGS:-}

# 1. sounds and labels are named, then the paper's loss
# shellcheck disable=SC2046
train mixture mini $(few pretraining.steps=2 pretraining.batch=4 dense_steps=1 tuning.steps=2 tuning.batch=2 tuning.accumulate=1 data.versions=1 data.upsampling={})
# 2. names fitted anew: of sounds around each; of languages, which the decoder of transcripts tells
step "$out/labels/sums.json" "$python" -m mowe.training.labels "$out/mixture/final" --sets language sound --decoded \
  --manifest "$corpus/manifest.jsonl" --features "$out/features" --out "$out/labels"
# 3. LoRA alone: questions about what is heard and said
# shellcheck disable=SC2046
train answers mini-answers "start=\"$out/labels\"" $(few tuning.steps=2 tuning.batch=2 tuning.accumulate=1 data.versions=1 data.upsampling={})
# 4. LoRA alone: a transcript is repeated to the letter
step "$out/copying/sums.json" "$python" -m mowe.training.copying "$out/answers/final" --manifest "$corpus/manifest.jsonl" \
  --out "$out/copying" --steps "$(either 120 2)" --clips "$(either 160 40)"
# 5. half precision, files below 16 MB, sums
step "$out/mowe-mini/sums.json" "$python" -m mowe export "$out/copying" --out "$out/mowe-mini"
# 6. measured as the shipped one is
# shellcheck disable=SC2046
step "$out/results.json" "$python" -m mowe eval --model "$out/mowe-mini" --suite mini --manifest "$corpus/manifest.jsonl" \
  --out "$out/results.json" --baselines "$(either all majority)" $(few --limit 1)
