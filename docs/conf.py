"""The site, built by Sphinx from these pages and from the docstrings: `make docs`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import static_dynamic

project = "static-dynamic"
version = release = static_dynamic.__version__
copyright = "the authors, MIT licence"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = "static-dynamic"
html_extra_path = ["llms.txt"]
html_copy_source = False

# Markdown: headings can be linked to; a link that leads nowhere is a warning, and warnings fail the build.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# Notebooks run during the build, each in a process of its own; a cell that fails, fails the build.
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True

# Signatures name types briefly. Names of other libraries are not looked up: that would need the network.
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!static_dynamic\.).*"),
    # Types that signatures name and that nobody has to make or take apart.
    ("py:class", r".*\.(Planned|Tracked)"),
    ("py:class", r".*\.(_template|_split|Kind|Filled|Described|Places|MadeCase|RenderedCase|Part|Canvas|Axis|Shown)"),
    ("py:class", r".*\.(Design|Plan|CellPlan|Estimates)"),
    ("py:class", r".*\.(numbers\.Sample|Resampling|store\.Store|Question|flow\.estimators\.Estimator)"),
]
# Pages that are not always there may be named by a pattern.
suppress_warnings = ["toc.empty_glob"]


def equations_as_written(app, what, name, obj, options, lines):  # type: ignore[no-untyped-def]
    """Show an indented block after a colon, such as an equation, line by line in a fixed-width font.

    Equations in docstrings are Unicode text, readable in a terminal too. So the site loads no MathJax and no fonts.
    """
    for number, (line, empty, block) in enumerate(zip(lines, lines[1:], lines[2:], strict=False)):
        deeper = len(block) - len(block.lstrip()) > len(line) - len(line.lstrip())
        if re.search(r"\w.*[^:]:$", line) and not empty.strip() and deeper:
            lines[number] = line + ":"


def setup(app):  # type: ignore[no-untyped-def]
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", equations_as_written, priority=400)  # napoleon comes at 500
