#!/usr/bin/env bash
# A DyReg-TSM checkpoint on Something-Something v2, one centre clip per video.
#   misc/evaluate_model.sh CHECKPOINT [any option of `python -m training evaluate`]
# FRAMES and LISTS say where frames and lists are, GPUS how many there are.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
checkpoint="${1:?which checkpoint? e.g. misc/evaluate_model.sh best.pth.tar}"
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" -m torch.distributed.run \
    --standalone --nproc_per_node "${GPUS:-1}" -m training evaluate \
    --model dyreg_tsm_r50 --checkpoint "$checkpoint" \
    --data "${FRAMES:-data/smt-smt-V2/smt-smt-V2-frames}" --lists "${LISTS:-data/smt-smt-V2/tsm_data}" "${@:2}"
