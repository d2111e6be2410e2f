# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of Sphinx: `scripts/docs.sh` and rosdoc2 build the site with them."""

from importlib.util import find_spec
from pathlib import Path
import sys

# rosdoc2 runs these lines in a conf.py of its own, beside a copy of this folder.
sys.path.insert(0, str(Path(__file__).parent / '_site'))

from sources import find_repository, replace_source

sys.path.insert(0, str(find_repository(Path(__file__).parent)))

from trt_detector import __version__ as release

project = 'trt_detector'
author = 'The trt_detector Authors'
copyright = f'2026 {author}, Apache-2.0'  # noqa: A001
version = release
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.viewcode']
source_suffix = {'.md': 'markdown', '.rst': 'restructuredtext'}
# rosdoc2 adds copies of README.md and others, which are in project/.
exclude_patterns = ['_*', '[A-Z]*']
nitpicky = False
highlight_language = 'bash'

# Anchors as those of GitHub, so that links work on both.
myst_heading_anchors = 4

autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
# Has no rosdep key, so the machines of docs.ros.org lack it.
autodoc_mock_imports = [] if find_spec('onnx') else ['onnx']

html_theme = 'furo'
html_title = f'trt_detector {release}'
html_show_sphinx = False
html_copy_source = False


def setup(app) -> None:
    """Let pages be completed as they are read."""
    app.connect('source-read', replace_source)
