"""``doctor``: what works on this machine."""

import platform

from static_dynamic.common.errors import UserError, reason
from static_dynamic.optional import Finding, Library, check, check_optional

CORE = {
    "torch": Library("All models", "pip install torch", ("torch:ones",)),
    "av": Library("Video files", "pip install av", ("av:open", "av.codec:codecs_available")),
    "opencv": Library("Styles and flow", "pip install opencv-python-headless", ("cv2:DISOpticalFlow_create",)),
}
"""Name → a library that nearly every run uses."""

CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4")
COLOURS = {"usable": "green", "broken": "red"}


def findings() -> list[Finding]:
    """The state of everything, from Python to the optional libraries."""
    python = Finding("python", "usable", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    core = [_with_codecs(check(name, library)) for name, library in CORE.items()]
    devices = [_cuda(), _mps()] if core[0].state == "usable" else []
    return [python, *core, *devices, *check_optional()]


def doctor() -> None:
    """Show what works on this machine: Python, torch, devices, video, and the optional libraries.

    Raises:
        UserError: If a library that nearly every run uses does not work.
    """
    from rich.console import Console
    from rich.text import Text

    found = findings()
    width = max(len(finding.name) for finding in found) + 2
    console = Console()
    for name, state, detail in found:
        line = Text.assemble(f"{name:{width}}", (f"{state:15}", COLOURS.get(state, "yellow")), detail)
        console.print(line, soft_wrap=True)  # commands can be copied in one piece
    if bad := [name for name, state, _ in found if name in CORE and state != "usable"]:
        raise UserError(f"Nearly every run requires {' and '.join(bad)}: see above.")


def _with_codecs(finding: Finding) -> Finding:
    """Add the usual codecs that PyAV's FFmpeg can decode."""
    if finding.name != "av" or finding.state != "usable":
        return finding
    import av.codec

    known = [codec for codec in CODECS if codec in av.codec.codecs_available]
    return finding._replace(detail=f"{finding.detail}, FFmpeg with {' '.join(known)}")


def _cuda() -> Finding:
    import torch

    return _device("cuda", [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())])


def _mps() -> Finding:
    import torch

    return _device("mps", ["Apple GPU"] if torch.backends.mps.is_available() else [])


def _device(kind: str, names: list[str]) -> Finding:
    """The state of a kind of GPU, tested with a sum."""
    import torch

    if not names:
        return Finding(kind, "not available", "there is no GPU of this kind: runs use another one, or the CPU")
    try:
        torch.ones(2, device=kind).sum().item()
    except Exception as error:  # a driver that is too old, or a GPU that this torch was not built for
        return Finding(kind, "broken", reason(error))
    return Finding(kind, "usable", ", ".join(names))
