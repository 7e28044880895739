"""Settings of the documentation; `make docs` builds it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import allocator

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Allocate"
version = release = allocator.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_click",
    "sphinx_copybutton",
    "campaign_reference",
    "sending_reference",
    "command_examples",
    "docstrings",
    "mathml",
]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    # Other libraries' types, and names of unions, callables and internal types in signatures.
    ("py:class", r"(np|numpy|pl|dt|collections\.abc)\..*|NDArray|ArrayLike|Path|AbstractContextManager"),
    ("py:class", r"Array|Ints|Floats|Value|Table|By|Users|Coupons|Progress|Kind|Method|OnInfeasible|Pacing"),
    ("py:class", r"Batch|Combinations|Config|Contact|Fairness|Grouping|LimitLike|NamedTerm|Options|Places"),
    ("py:class", r"Rate|Row|Task|Scores|Stakes|OutcomeUplift|Ints"),
    ("py:class", r".*UserLabels"),
]

# Markdown
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_allow_space = False
myst_dmath_allow_digits = False

# Docstrings
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

# Pages, of which nothing is fetched from a network
html_theme = "pydata_sphinx_theme"
html_title = "Allocate"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_sidebars: dict[str, list[str]] = {"tutorial/index": [], "changelog": []}
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options: dict[str, Any] = {
    "logo": {"text": "Allocate"},
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}
copybutton_prompt_text = r"\$ |>>> |whatif> "
copybutton_prompt_is_regexp = True
