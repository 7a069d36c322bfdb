#!/usr/bin/env bash
# DyReg-TSM (three modules) on Something-Something v2, with the published values.
#   GPUS=8 misc/train_model.sh [any option of `python -m training train`]
# FRAMES and LISTS are the folders of frames and lists. The published script also asks for --gd 20, which the published code
# never applies; add it to apply it.
source "$(dirname "$0")/_launch.sh"
launch train --model dyreg_tsm_r50 --pretrained_backbone True --sync_bn True \
    --epochs 60 --batch_size 2 --lr 0.001 --lr_type step --lr_steps 20,30,40 --momentum 0.9 --weight_decay 5e-4 \
    --dropout 0.5 --eval_freq 1 "$@"
