#!/usr/bin/env bash
# The published segmentation protocol: every model, seeds 1 to 4; all stages, layerwise and unitwise, in one pass a seed.
#
#   bash run_main_vos.sh DAVIS STYLIZED_DAVIS CHECKPOINTS     or the same three in the environment
#   SMOKE=1 bash run_main_vos.sh [DAVIS]                      a few small frames and random weights: does everything run?
#
# A checkpoint is the file or folder in CHECKPOINTS whose name begins with the model's (below); what is not there is
# skipped. A run that was stopped goes on. Also understood: OUT (runs/vos), SEEDS ("1 2 3 4"), BATCH, DEVICE, PYTHON.
set -euo pipefail
cd "$(dirname "$0")"

DAVIS=${1:-${DAVIS:-}}
STYLIZED_DAVIS=${2:-${STYLIZED_DAVIS:-}}
CHECKPOINTS=${3:-${CHECKPOINTS:-}}
SMOKE=${SMOKE:-}
SEEDS=${SEEDS:-1 2 3 4}
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
OUT=${OUT:-runs/vos${SMOKE:+_smoke}}
options=(--device "${DEVICE:-auto}" --dim_outputs "$OUT/dim_outputs")

stop() { echo "error: $1" >&2; exit 2; }

if [ -n "$SMOKE" ]; then
    DAVIS=${DAVIS:-../shared/data/davis_mini}
    options+=(--crop_size 96x160 --frame_step 12 --replicates 100)
fi
[ -d "$DAVIS/JPEGImages" ] || stop "No DAVIS in '$DAVIS': give its folder, e.g. bash run_main_vos.sh DAVIS STYLIZED_DAVIS CHECKPOINTS."
if [ -n "$STYLIZED_DAVIS" ]; then
    [ -d "$STYLIZED_DAVIS/JPEGImages" ] || stop "No stylized DAVIS in '$STYLIZED_DAVIS': it has no folder JPEGImages."
    options+=(--stylized_data_root "$STYLIZED_DAVIS")
else
    echo "No STYLIZED_DAVIS: the built-in styles stand in for the published ones."
fi
[ -n "$SMOKE" ] || [ -d "$CHECKPOINTS" ] || stop "No CHECKPOINTS folder in '$CHECKPOINTS'. SMOKE=1 runs on random weights."

# Flow is computed beside the data, or beside links to them where they cannot be written.
if [ ! -d "$DAVIS/FlowImages_gap1" ] || [ ! -d "$DAVIS/FlowImages_gap-1" ]; then
    if [ -n "$SMOKE" ] || [ ! -w "$DAVIS" ]; then
        mkdir -p "$OUT/data"
        for part in JPEGImages Annotations ImageSets; do
            [ -e "$DAVIS/$part" ] && ln -sfn "$(realpath "$DAVIS/$part")" "$OUT/data/$part"
        done
        DAVIS=$OUT/data
    fi
    "$PYTHON" -m static_dynamic.flow "$DAVIS"
fi

# measure <published name> <configuration> <batch size> [option ...]
measure() {
    local name=$1 config=$2 batch=${BATCH:-$3} checkpoint=() found
    shift 3
    if [ -z "$SMOKE" ]; then
        found=$(compgen -G "$CHECKPOINTS/$name*" | head -n 1 || true)
        [ -n "$found" ] || { echo "skipped $name: no $CHECKPOINTS/$name*"; return; }
        checkpoint=(--checkpoint "$found")
    fi
    for seed in $SEEDS; do
        local run=$OUT/$name/seed_$seed
        [ -f "$run/run.json" ] && { echo "done before: $run"; continue; }
        echo "== $name, seed $seed"
        "$PYTHON" main.py --cfg_file "$config" --original_data_root "$DAVIS" --random_seed "$seed" --batch_size "$batch" \
            --joint_encoding True --save_dir "$run" "${checkpoint[@]}" "${options[@]}" "$@"
    done
    "$PYTHON" misc/mean_var_analysis.py "$OUT/dim_outputs/vos_models/final/$name"
    "$PYTHON" misc/plot_jointencoding.py "$OUT/dim_outputs/vos_models/joint_encoding/$name" --out "$OUT/$name/joint_encoding.png"
    "$PYTHON" misc/plot_stages.py --in_file "$OUT/dim_outputs/vos_models/final/$name" --matplot --out_plot "$OUT/$name/stages_%s.png"
}

FUSIONSEG=twostream_deeplabv3plus_resnet101
measure rtnet configs/rtnet_davis.json 5
measure matnet_fusion_type_gated configs/matnet_davis.json 10
measure ${FUSIONSEG}_davis configs/twostreamv3plus_davis.json 32
[ -n "$SMOKE" ] && exit  # what follows is the same network with other weights
measure ${FUSIONSEG}_taovos configs/twostreamv3plus_davis.json 32 --trained_on taovos
measure ${FUSIONSEG}_imgnetvid configs/twostreamv3plus_davis.json 32 --trained_on imgnetvid
