"""``scrambles``: how much order the scrambles destroy."""

from pathlib import Path

from static_dynamic.common.errors import UserError
from static_dynamic.common.plugins import Plugins, import_plugins
from static_dynamic.program.values import listed, whole_numbers


def scrambles(
    *,
    kinds: str | None = None,
    lengths: str = "2,3,4,8,16,32",
    draws: int = 2000,
    out: Path | None = None,
    plugin: Plugins = (),
) -> None:
    """Measure how much order the scrambles destroy, and how often two coincide.

    Args:
        kinds: Scrambles, separated by commas, e.g. block_shuffle:8. By default all.
        lengths: Frames of a clip, separated by commas.
        draws: Orders drawn from each.
        out: CSV file to write.
        plugin: Your module to import first, which registers scrambles; may be repeated.
    """
    import_plugins(plugin)
    from static_dynamic.common.files import refuse_existing, write_text
    from static_dynamic.common.tables import as_csv
    from static_dynamic.stylize.rendering.scrambles import audit_scrambles

    counts = whole_numbers("--lengths", lengths, "4,8")
    if draws < 2:
        raise UserError(f"The --draws must be 2 or more, to see how often two coincide. Got {draws}.")
    if out:
        refuse_existing(out)
    table = audit_scrambles(listed(kinds), counts, draws)
    if out:
        write_text(out, as_csv(table, float_format="%.6g"))
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}", na_rep="-"))
