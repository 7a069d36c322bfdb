#!/usr/bin/env bash
# A DyReg-TSM checkpoint on Something-Something v2, one centre clip per video.
#   misc/evaluate_model.sh CHECKPOINT [any option of `python -m training evaluate`]
# FRAMES and LISTS are the folders of frames and lists, GPUS is the number of GPUs.
source "$(dirname "$0")/_launch.sh"
[ $# -gt 0 ] || stop "A checkpoint is required. For example: $0 best.pth.tar"
[ -e "$1" ] || stop "The checkpoint '$1' is missing."
launch evaluate --model dyreg_tsm_r50 --checkpoint "$@"
