#!/usr/bin/env bash
# The shipped detector, from random weights: train, complete the labels with what was trained, train
# on. Two and a half hours on one core of 2026; each step is left alone where it is done already.
#
#   workflow/weights.sh [OUT]     OUT: the model's folder, runs/weights/crater_yolo11n by default
#
# The sample data lie where CDA_SAMPLE_DATA says (../shared/data beside the checkout by default).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DATA="${CDA_SAMPLE_DATA:-../shared/data}" OUT="${1:-runs/weights/crater_yolo11n}"
readonly FIRST=runs/weights/first LABELS=runs/weights/labels
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
)

if ! finished "$FIRST"; then
  cda model train --data "$DATA/mars_themis_yolo" --data "$DATA/mars_ctx_mc11e" \
    --data "$DATA/moon_nac_yolo" "${LEFT_OUT[@]}" "${CALIBRATION[@]}" --epochs 14 --out "$FIRST"
fi

if [ ! -f "$LABELS/mars_themis_yolo/relabel.json" ]; then
  rm -rf "$LABELS/mars_themis_yolo"
  cda model relabel --data "$DATA/mars_themis_yolo" --exclude crater84 --teacher "$FIRST" \
    --score 0.4 --out "$LABELS/mars_themis_yolo"
fi
if [ ! -f "$LABELS/moon_nac_yolo/relabel.json" ]; then
  rm -rf "$LABELS/moon_nac_yolo"
  cda model relabel --data "$DATA/moon_nac_yolo" --box-scale 10:0.74,16:0.80,24:0.87,48:0.92 \
    --out "$LABELS/moon_nac_yolo"
fi

if ! finished "$OUT"; then
  cda model train --data "$LABELS/mars_themis_yolo" --data "$DATA/mars_ctx_mc11e" \
    --data "$LABELS/moon_nac_yolo" "${LEFT_OUT[@]}" "${CALIBRATION[@]}" \
    --from "$FIRST" --average 0.5 --lr0 0.001 --doubled 0.6 --epochs 10 --default \
    --out "$OUT"
fi
cda model show "$OUT"
