"""Settings of the documentation site, which `make docs` builds (docs/website)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "website"))

project = "gradarray"
author = "The gradarray developers"
extensions = ["myst_parser", "formulas"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
html_theme = "furo"
html_title = "gradarray"
html_static_path = [str(Path(__file__).parent / "website" / "static")]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
pygments_style = "friendly"
pygments_dark_style = "monokai"
suppress_warnings = ["myst.header"]  # a page may begin below the first level
