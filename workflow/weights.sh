#!/usr/bin/env bash
# A detector like the shipped one, from random weights: train; then twice complete the labels with
# what was trained and train on. docs/detector.md says what the shipped one lacks of this. Hours: by
# the rate of the last step (49 images/s on two cores with bfloat16) about two and a half; not yet
# run whole. Each step is left alone where it is done already.
#
#   workflow/weights.sh [OUT]     OUT: the model's folder, runs/weights/crater_yolo11n by default
#
# The sample data lie where CDA_SAMPLE_DATA says (../shared/data beside the checkout by default).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DATA="${CDA_SAMPLE_DATA:-../shared/data}" OUT="${1:-runs/weights/crater_yolo11n}"
readonly FIRST=runs/weights/first SECOND=runs/weights/second LABELS=runs/weights/labels
# Convolutions in bfloat16 where the processor has it: 0.6 of the time.
PRECISION=$(grep -qsE 'avx512_bf16|amx_bf16' /proc/cpuinfo && echo bf16 || echo f32)
readonly PRECISION
cda() { .venv-train/bin/cda "$@"; }
# A card has its validation last: without it the model is not finished, and training resumes.
finished() { grep -qs '"validation"' "$1/card.json"; }

# Georeferenced ground (crater84) and the pictures that an expert marked are never trained on.
readonly -a LEFT_OUT=(--exclude crater84 --exclude MC11E-D --exclude MC11E-K --exclude MC11E-L)
readonly -a CALIBRATION=(
  --caps "$DATA/planetary_raster/global/moon_dem.tif"
         "$DATA/catalogues/moon_head_2010_ge20km.csv" moon
  --rims "$DATA/mars_themis_yolo/images/train" "$DATA/mars_themis_yolo/labels_catalogue/train"
  --validation "$DATA/mars_themis_yolo/images/valid" "$DATA/mars_themis_yolo/labels/valid"
  --instrument mars_themis_yolo THEMIS --instrument mars_ctx_mc11e CTX
  --instrument moon_nac_yolo "LROC NAC"
  # Degraded craters score low: recall is wanted there, at a precision that is still of use.
  --least-precision "LROC NAC" 0.7
)

# train OUT THEMIS NAC [MORE...]: on these two folders and CTX, unless OUT is finished.
train() {
  local out=$1 themis=$2 nac=$3
  shift 3
  finished "$out" && return
  cda model train --data "$themis" --data "$DATA/mars_ctx_mc11e" --data "$nac" \
    "${LEFT_OUT[@]}" "${CALIBRATION[@]}" --precision "$PRECISION" --threads 2 --out "$out" "$@"
}

# relabel FOLDER OUT [MORE...]: a training folder with better labels, unless it is there.
relabel() {
  local folder=$1 out=$2
  shift 2
  [ -f "$out/relabel.json" ] && return
  rm -rf "$out"
  cda model relabel --data "$DATA/$folder" --threads 2 --out "$out" "$@"
}

readonly NAC_BOXES=10:0.74,16:0.80,24:0.87,48:0.92

# Light falls from the west on nearly every THEMIS and CTX picture. The first two models, which only
# label these, see them as they are, and can tell hills, whose shadow is on the other side. The last
# one is for pictures lit from either side: half of what it sees is mirrored.
train "$FIRST" "$DATA/mars_themis_yolo" "$DATA/moon_nac_yolo" --mirrored 0 --epochs 14

relabel mars_themis_yolo "$LABELS/2/mars_themis_yolo" --exclude crater84 --teacher "$FIRST" --score 0.4
relabel moon_nac_yolo "$LABELS/2/moon_nac_yolo" --box-scale "$NAC_BOXES"
train "$SECOND" "$LABELS/2/mars_themis_yolo" "$LABELS/2/moon_nac_yolo" \
  --mirrored 0 --from "$FIRST" --average 0.5 --lr0 0.001 --doubled 0.6 --epochs 10

relabel mars_themis_yolo "$LABELS/3/mars_themis_yolo" --exclude crater84 --teacher "$SECOND" --score 0.4 \
  --small 10 0.2
relabel moon_nac_yolo "$LABELS/3/moon_nac_yolo" --teacher "$SECOND" --score 0.45 \
  --box-scale "$NAC_BOXES"
train "$OUT" "$LABELS/3/mars_themis_yolo" "$LABELS/3/moon_nac_yolo" \
  --from "$SECOND" --average 0.12 --lr0 0.001 --doubled 1 --turned 1200 --turned-share 8 --turned-scale 0.4 1.6 \
  --epochs 15 --default
cda model show "$OUT"
