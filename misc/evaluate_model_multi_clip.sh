#!/usr/bin/env bash
# As evaluate_model.sh, with 3 crops x 2 samplings of every video at full resolution.
source "$(dirname "$0")/_launch.sh"
[ $# -gt 0 ] || stop "A checkpoint is required. For example: $0 best.pth.tar"
exec "$(dirname "$0")/evaluate_model.sh" "$1" --multi_clip True --full_res True "${@:2}"
