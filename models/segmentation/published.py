"""The fields of the published configuration files of segmentation models → the registered model that they mean."""

from collections.abc import Mapping
from typing import Any

from static_dynamic.models.errors import ModelError, unknown

FUSIONSEG = "twostream_deeplabv3plus_resnet101"
PLAIN = ("rtnet", "rtnet34", "sam")

# (output_stride, fuse_early, fuse_bnorm) → the form of FusionSeg
FUSIONSEG_FORMS = {
    (16, True, False): "fusionseg_os16",
    (8, True, True): "fusionseg_os8_bnorm",
    (16, False, False): "fusionseg_late_os16",
}

# What differs from the defaults → the variant of MATNet
MATNET_DEFAULTS: Mapping[str, Any] = {
    "cc_type": "coatt",
    "norm_fn": "tanh",
    "fusion_type": "gated",
    "use_global": True,
    "use_spatial_conv": False,
}
CONVEX = ("fusion_type", "convex_gated")
MATNET_VARIANTS: Mapping[frozenset[tuple[str, Any]], str] = {
    frozenset(): "matnet_gated",
    frozenset({("use_global", False)}): "matnet_gated_noglobal",
    frozenset({CONVEX}): "matnet_convex_gated",
    frozenset({CONVEX, ("use_spatial_conv", True)}): "matnet_convex_gated_spatialconv",
    frozenset({("cc_type", "coatt_add")}): "matnet_coatt_add",
    frozenset({("cc_type", "coatt_gated")}): "matnet_coatt_gated",
    frozenset({("cc_type", "coatt_recip")}): "matnet_coatt_recip",
    frozenset({("cc_type", "coatt_gated_recip")}): "matnet_coatt_gated_recip",
    frozenset({("norm_fn", "softmax")}): "matnet_coatt_softmax",
    frozenset({("cc_type", "coatt_recip"), ("norm_fn", "softmax"), CONVEX}): "matnet_coatt_recip_softmax_convex",
}


def segmentation_model(config: Mapping[str, Any]) -> str:
    """The registered name of the model that a published configuration describes.

    Args:
        config: ``model``, and where they matter ``output_stride``, ``fuse_early``, ``fuse_bnorm`` and ``extra_args``.

    Raises:
        ModelError: For a model, or a combination of options, that has no published form.

    Example:
        >>> segmentation_model({"model": "matnet", "extra_args": {"cc_type": "coatt_recip"}})
        'matnet_coatt_recip'
    """
    model = config["model"]
    if model in PLAIN:
        return str(model)
    if model == FUSIONSEG:
        form = config.get("output_stride", 16), bool(config.get("fuse_early")), bool(config.get("fuse_bnorm"))
        if form not in FUSIONSEG_FORMS:
            known = "; ".join(map(str, FUSIONSEG_FORMS))
            raise ModelError(f"{model} has no form (output_stride, fuse_early, fuse_bnorm) = {form}. Allowed: {known}.")
        return FUSIONSEG_FORMS[form]
    if model == "matnet":
        return _matnet(config.get("extra_args") or {})
    raise unknown("model", model, (FUSIONSEG, "matnet", *PLAIN))


def published_name(config: Mapping[str, Any]) -> str:
    """The name under which the published code writes the results of this model.

    Example:
        >>> published_name({"model": "matnet", "extra_args": {"cc_type": "coatt_recip"}})
        'matnet_cc_type_coatt_recip'
    """
    parts = [config["model"]]
    if config["model"] == FUSIONSEG:
        parts.append(config.get("trained_on", "davis"))
    parts += [part for option in (config.get("extra_args") or {}).items() for part in option]
    return "_".join(map(str, parts))


def _matnet(options: Mapping[str, Any]) -> str:
    for name in options:
        if name not in MATNET_DEFAULTS:
            raise unknown("option of matnet in extra_args", name, MATNET_DEFAULTS)
    changes = frozenset((name, value) for name, value in options.items() if value != MATNET_DEFAULTS[name])
    if changes not in MATNET_VARIANTS:
        known = "; ".join(
            ", ".join(f"{name} {value}" for name, value in sorted(variant)) for variant in MATNET_VARIANTS if variant
        )
        given = ", ".join(f"{name} {value}" for name, value in sorted(changes))
        raise ModelError(f"No published variant of matnet has {given}. Allowed: {known}.")
    return MATNET_VARIANTS[changes]
