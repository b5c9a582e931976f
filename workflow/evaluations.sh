#!/usr/bin/env bash
# What the shipped detector can do, into its card: the test sets in f32, the int8 model made anew
# from it, and the same in int8. About ten minutes on two cores.
#
#   workflow/evaluations.sh [MODEL]     MODEL: a model's folder, the shipped one by default
#
# The sample data lie where CDA_SAMPLE_DATA says (../shared/data beside the checkout by default).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DATA="${CDA_SAMPLE_DATA:-../shared/data}" MODEL="${1:-ingest/weights/crater_yolo11n}"
cda() { .venv-train/bin/cda "$@"; }

# evaluate MODEL NAME KIND BODY IMAGES LABELS [MORE...]: one set, recorded under its name.
evaluate() {
  local model=$1 name=$2 kind=$3 body=$4 images=$5 labels=$6
  shift 6
  echo "== $(basename "$model"): $name" >&2
  cda model evaluate --model "$model" --record "$name" --kind "$kind" --body "$body" \
    --images "$DATA/$images" --labels "$DATA/$labels" --threads 2 --format json "$@" |
    .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["figures"])'
}

all_sets() {
  evaluate "$1" "THEMIS test" "THEMIS" mars mars_themis_yolo/images/test mars_themis_yolo/labels/test
  evaluate "$1" "CTX D, K, L against the expert" "CTX" mars mars_ctx_mc11e/images \
    mars_ctx_mc11e/expert
  evaluate "$1" "NAC test" "LROC NAC" moon moon_nac_yolo/images/test moon_nac_yolo/labels/test
}

all_sets "$MODEL"
cda model export "$MODEL" --to openvino-int8 --out "${MODEL}_int8" \
  --calibrate "$DATA/mars_themis_yolo" --calibrate "$DATA/mars_ctx_mc11e" \
  --calibrate "$DATA/moon_nac_yolo" \
  --exclude crater84 --exclude MC11E-D --exclude MC11E-K --exclude MC11E-L
all_sets "${MODEL}_int8"
