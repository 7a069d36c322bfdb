"""A process that is killed at a chosen moment, so that no test has to catch it in time."""

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KILLED = """
import os, signal, sys
sys.path.insert(0, "tests")
replace, left = os.replace, {files}

def replace_or_die(*arguments, **options):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return replace(*arguments, **options)

os.replace = replace_or_die
"""


def killed(code, files, *arguments):
    """Run code in a process of its own that is killed when it has put that many files in place and has the next one ready."""
    command = [sys.executable, "-c", KILLED.format(files=files) + code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
