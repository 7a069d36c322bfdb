#!/usr/bin/env bash
# The published segmentation protocol: every model, seeds 1 to 4; all stages, layerwise and unitwise, in one pass a seed.
#
#   bash run_main_vos.sh DAVIS STYLIZED_DAVIS CHECKPOINTS    or the same three in the environment
#   SMOKE=1 bash run_main_vos.sh [DAVIS [STYLIZED_DAVIS]]    a quick trial: random weights, two seeds, few small
#                                                            frames; without DAVIS, on sequences that it draws itself
#
# A checkpoint is the file or folder in CHECKPOINTS whose name begins with the model's (below); a model without one is
# skipped. A run that was stopped is resumed; with SMOKE it starts over. Other variables: OUT (runs/vos or runs/smoke),
# SEEDS ("1 2 3 4"), BATCH, DEVICE, PYTHON.
set -euo pipefail

stop() { echo "error: $1" >&2; exit 2; }

start=$PWD
cd "$(dirname "$0")"
place() { # a path that was given, as it is called from here
    case $1 in "" | /*) echo "$1" ;; *) [ "$start" = "$PWD" ] && echo "$1" || echo "$start/$1" ;; esac
}

[ $# -le 3 ] || stop "At most three folders are allowed: DAVIS STYLIZED_DAVIS CHECKPOINTS. Got $#: $*."
SMOKE=${SMOKE:-}
DAVIS=$(place "${1:-${DAVIS:-}}")
STYLIZED_DAVIS=$(place "${2:-${STYLIZED_DAVIS:-}}")
CHECKPOINTS=$(place "${3:-${CHECKPOINTS:-}}")
OUT=$(place "${OUT:-}")
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
if [ -n "$SMOKE" ]; then
    OUT=${OUT:-runs/smoke} SEEDS=${SEEDS:-1 2}
    [ -z "$CHECKPOINTS" ] || stop "SMOKE=1 uses random weights: leave out CHECKPOINTS '$CHECKPOINTS', or SMOKE."
else
    OUT=${OUT:-runs/vos} SEEDS=${SEEDS:-1 2 3 4}
    [ -n "$DAVIS" ] || stop "The folder of DAVIS is required: bash run_main_vos.sh DAVIS STYLIZED_DAVIS CHECKPOINTS. SMOKE=1 needs none."
    [ -d "$CHECKPOINTS" ] || stop "A folder of CHECKPOINTS is required. Got '$CHECKPOINTS'. SMOKE=1 uses random weights."
fi
[ -z "$DAVIS" ] || [ -d "$DAVIS/JPEGImages" ] || stop "'$DAVIS' does not hold DAVIS: its folder JPEGImages is missing."
[ -z "$STYLIZED_DAVIS" ] || [ -d "$STYLIZED_DAVIS/JPEGImages" ] || stop "'$STYLIZED_DAVIS' does not hold stylized DAVIS: its folder JPEGImages is missing."
"$PYTHON" -c 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ("torch", "pandas", "cv2"))))' 2> /dev/null ||
    stop "The packages are not installed for '$PYTHON'. Run make demo, which sets up .venv, or give a Python that has them: PYTHON=..."

options=(--device "${DEVICE:-auto}" --dim_outputs "$OUT/dim_outputs")
across=()
if [ -n "$SMOKE" ]; then
    echo "A smoke test, about two minutes on two cores: three models with random weights, which mean nothing, at 64x96."
    options+=(--crop_size 64x96 --frame_step 12 --replicates 100 --resume False)
    across=(--across weights) # the seed draws them
    if [ -z "$DAVIS" ]; then
        DAVIS=$OUT/davis STYLIZED_DAVIS=$OUT/stylized
        "$PYTHON" misc/render_small_davis.py "$DAVIS"
        "$PYTHON" -m stylize render "$DAVIS" --out "$STYLIZED_DAVIS" --styles ink,neon --layout DAVIS --workers 0
        options+=(--styles ink,neon)
    fi
fi
if [ -n "$STYLIZED_DAVIS" ]; then
    options+=(--stylized_data_root "$STYLIZED_DAVIS")
else
    echo "Without STYLIZED_DAVIS, the built-in styles replace the published ones."
fi

# Flow is computed next to the data, or next to links to them if their folder cannot be written. Flow with a run.json is
# ours; it may have been stopped, and is resumed.
if [ ! -d "$DAVIS/FlowImages_gap1" ] || [ ! -d "$DAVIS/FlowImages_gap-1" ] || [ -e "$DAVIS/FlowImages_gap-1/run.json" ]; then
    if [ "$DAVIS" != "$OUT/davis" ] && { [ -n "$SMOKE" ] || [ ! -w "$DAVIS" ]; }; then
        mkdir -p "$OUT/data"
        for part in JPEGImages Annotations ImageSets; do
            [ ! -e "$DAVIS/$part" ] || ln -sfn "$(realpath "$DAVIS/$part")" "$OUT/data/$part"
        done
        DAVIS=$OUT/data
    fi
    "$PYTHON" -m static_dynamic.flow "$DAVIS"
fi

measured=0
# measure <published name> <configuration> <batch size> [option ...]
measure() {
    local name=$1 config=$2 batch=${BATCH:-$3} checkpoint=() runs=() found
    shift 3
    if [ -z "$SMOKE" ]; then
        found=$(compgen -G "$CHECKPOINTS/$name*" | head -n 1 || true)
        [ -n "$found" ] || { echo "skipped $name: no $CHECKPOINTS/$name*"; return; }
        checkpoint=(--checkpoint "$found")
    fi
    measured=$((measured + 1))
    for seed in $SEEDS; do
        local run=$OUT/$name/seed_$seed
        runs+=("$run")
        [ -z "$SMOKE" ] && [ -f "$run/run.json" ] && { echo "done before: $run"; continue; }
        echo "== $name, seed $seed"
        "$PYTHON" main.py --cfg_file "$config" --original_data_root "$DAVIS" --random_seed "$seed" --batch_size "$batch" \
            --estimators released --twins 0 --joint_encoding True --save_dir "$run" "${checkpoint[@]}" "${options[@]}" "$@"
    done
    "$PYTHON" misc/mean_var_analysis.py "${runs[@]}" --out "$OUT/$name/means.csv" "${across[@]}"
    "$PYTHON" misc/plot_jointencoding.py "$OUT/dim_outputs/vos_models/joint_encoding/$name" --out "$OUT/$name/joint_encoding.png"
    "$PYTHON" misc/plot_stages.py --in_file "${runs[@]}" --matplot --out_plot "$OUT/$name/stages_%s.png" --title "$name" "${across[@]}"
}

FUSIONSEG=twostream_deeplabv3plus_resnet101
measure rtnet configs/rtnet_davis.json 5
measure matnet_fusion_type_gated configs/matnet_davis.json 10
measure ${FUSIONSEG}_davis configs/twostreamv3plus_davis.json 32
if [ -z "$SMOKE" ]; then # the same network with different weights
    measure ${FUSIONSEG}_taovos configs/twostreamv3plus_davis.json 32 --trained_on taovos
    measure ${FUSIONSEG}_imgnetvid configs/twostreamv3plus_davis.json 32 --trained_on imgnetvid
fi
[ "$measured" -gt 0 ] || stop "No checkpoint in '$CHECKPOINTS' has a name that begins with rtnet, matnet_fusion_type_gated or $FUSIONSEG."
echo "Done in $((SECONDS / 60)) min $((SECONDS % 60)) s: $OUT/"
