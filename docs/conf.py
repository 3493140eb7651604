"""The documentation site: `make docs` builds it into docs/_build/html, from docstrings, model folders and notebooks.

CASCADE_DOCS_NOTEBOOKS says whether the notebooks are executed: "off" (the default here, for a quick build), "cache"
(those that changed) or "force" (all). Nothing is fetched from other hosts, neither at build nor by the pages.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import cascade  # noqa: E402

project = "cascade"
author = "The cascade developers"
copyright = "The cascade developers, Apache-2.0"
version = release = cascade.__version__

extensions = [
    "cascade_pages",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_ext", "**.ipynb_checkpoints"]
root_doc = "index"
default_role = "code"  # docstrings write `name`, as Markdown does
smartquotes = False
language = "en"

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 2
nb_execution_mode = os.environ.get("CASCADE_DOCS_NOTEBOOKS", "off")
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "none"  # the docstrings say the types, in words
autodoc_member_order = "bysource"
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"cascade {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = "$ "
