#!/usr/bin/env bash
# As evaluate_model.sh, with 3 crops x 2 samplings of every video at full resolution.
exec "$(dirname "$0")/evaluate_model.sh" "${1:?which checkpoint? e.g. misc/evaluate_model_multi_clip.sh best.pth.tar}" \
    --multi_clip True --full_res True "${@:2}"
