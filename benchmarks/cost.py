"""Parameters and GMACs of the zoo, compared with the figures of the model zoos.

    python -m benchmarks.cost

Published figures: PySlowFast's MODEL_ZOO.md (GFLOPs there are GMACs, one view at the testing crop; parameters in M).
Those of Slow 8x8 and SlowFast 8x8 count convolutions and matrix products, as torch does. All others also count every
normalised element as 2.5 MACs; fvcore today counts it as 1: "with_norms" is torch + 2.5 (fvcore - torch).

Of segmentation models, the published figures are convolutions and matrix products that the published code runs on
240 x 427 pixels, per clip (RTNet: two frames). It computes some of them unnecessarily: MATNet one branch of its decoder
three times over, and, unless it is reciprocal, attention in a direction that nothing reads; RTNet the decoder of
its second stream.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from static_dynamic import models
from static_dynamic.media.clip import FlowRecipe
from static_dynamic.media.inputs import declared_recipe
from static_dynamic.network.cost import measure_cost

# Model → (testing crop of the published figure, GMACs, parameters in M).
PUBLISHED = {
    "c2d_r50_8x8": (256, 25.89, 24.33),
    "i3d_r50_8x8": (256, 37.53, 28.04),
    "slow_r50_4x16": (256, 27.55, 32.45),
    "slow_r50_8x8": (256, 54.52, 32.45),
    "slowfast_r50_4x16": (256, 36.69, 34.48),
    "slowfast_r50_8x8": (256, 65.71, 34.57),
    "x3d_xs": (182, 0.91, 3.79),
    "x3d_s": (182, 2.96, 3.79),
    "x3d_m": (256, 6.72, 3.79),
    "x3d_l": (356, 26.64, 6.15),
}

SEGMENTATION_SIZE = (240, 427)
# Model → (GMACs per clip, parameters in M).
SEGMENTATION = {
    "fusionseg_os16": (55.853, 112.394),
    "fusionseg_os8_bnorm": (183.494, 112.402),
    "fusionseg_late_os16": (58.588, 101.512),
    "matnet_gated": (85.302, 142.692),
    "matnet_convex_gated": (85.303, 141.992),
    "matnet_coatt_gated": (85.332, 142.706),
    "matnet_coatt_recip": (85.302, 142.692),
    "matnet_coatt_gated_recip": (85.332, 142.706),
    "rtnet": (169.870, 277.237),
    "rtnet34": (61.384, 105.550),
}


def row(name: str) -> dict[str, object]:
    """One model, at the crop of the published figure where there is one."""
    model = models.create_model(name)
    recipe = declared_recipe(model)
    if isinstance(recipe, FlowRecipe):
        gmacs, params = SEGMENTATION.get(name, (None, None))
        recipe = replace(recipe, size=SEGMENTATION_SIZE)
        size = "x".join(map(str, recipe.size))
    else:
        crop, gmacs, params = PUBLISHED.get(name, (recipe.crop, None, None))
        recipe = replace(recipe, crop=crop, short_side=None)
        size = str(crop) if isinstance(crop, int) else "x".join(map(str, crop))
    cost = measure_cost(model, recipe, fvcore=name in PUBLISHED)
    torch_gmacs, fvcore_gmacs = cost.macs / 1e9, None if cost.fvcore_macs is None else cost.fvcore_macs / 1e9
    with_norms = None if fvcore_gmacs is None else torch_gmacs + 2.5 * (fvcore_gmacs - torch_gmacs)
    return {
        "model": name,
        "pixels": size,
        "params_m": cost.parameters / 1e6,
        "published_params_m": params,
        "gmacs_torch": torch_gmacs,
        "gmacs_fvcore": fvcore_gmacs,
        "gmacs_with_norms": with_norms,
        "published_gmacs": gmacs,
        "torch_off_percent": None if gmacs is None else 100 * (torch_gmacs / gmacs - 1),
        "with_norms_off_percent": None if gmacs is None or with_norms is None else 100 * (with_norms / gmacs - 1),
    }


def main() -> None:
    """Print and save the table."""
    torch.set_num_threads(2)
    names = [name for name in models.list_models() if not name.startswith("slowfast_ava")]
    table = pd.DataFrame([row(name) for name in names]).round(3)
    table.to_csv(Path(__file__).parent / "cost.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
