"""Changes of a clip: styles change its appearance and keep its motion, scrambles do the reverse."""

from static_dynamic.interventions.flow_changes import change_flow, check_flow_change, list_flow_changes, needs_other
from static_dynamic.interventions.scrambles import (
    apply_scramble,
    changes_pixels,
    check_scramble,
    list_scrambles,
    scramble,
)
from static_dynamic.interventions.sheet import contact_sheet
from static_dynamic.interventions.styles import STRONG, check_style, is_style_file, list_styles, restyle, style_digests

__all__ = [
    "STRONG",
    "apply_scramble",
    "change_flow",
    "changes_pixels",
    "check_flow_change",
    "check_scramble",
    "check_style",
    "contact_sheet",
    "is_style_file",
    "list_flow_changes",
    "list_scrambles",
    "list_styles",
    "needs_other",
    "restyle",
    "scramble",
    "style_digests",
]
