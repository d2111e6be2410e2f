# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Complete the sources of the site's pages as Sphinx reads them.

Nothing is written into the source folder:

- pages outside docs/ (README.md, CONTRIBUTING.md ...) take the place of their stubs in project/;
- links between pages are those of the repository, and lead to the pages of the site;
- index.rst lists the pages that it does not name;
- parameters.md gets its entries from the code.
"""

from __future__ import annotations

import os
from pathlib import Path
import re
import sys
from typing import Any

from parameters import write_parameters

__all__ = ['ROOT_PAGES', 'find_repository', 'replace_source']

# Page of the site and file of the repository.
ROOT_PAGES = {
    'project/overview': 'README.md',
    'project/contributing': 'CONTRIBUTING.md',
    'project/quality': 'QUALITY_DECLARATION.md',
    'project/changelog': 'CHANGELOG.rst',
    'project/containers': 'docker/README.md',
    'project/demo': 'demo/README.md',
}
_PAGE_OF_FILE = {file: f'docs/{page}.md' for page, file in ROOT_PAGES.items()}
_LINK = re.compile(r'(?<=\]\()([^)\s#:]+)(?=[)#])')
_OTHER_PAGES = '   .. other pages'
_PARAMETERS = '<!-- parameters -->'


def find_repository(docs: Path) -> Path:
    """
    Find the root folder of the repository.

    :param docs: folder of conf.py. rosdoc2 copies it, and puts the root folder on sys.path.
    :raises FileNotFoundError: if no folder with package.xml is found.
    """
    for folder in (docs.parent, *map(Path, sys.path)):
        if (folder / 'package.xml').is_file() and (folder / 'trt_detector').is_dir():
            return folder.resolve()
    raise FileNotFoundError(
        f'no package.xml beside {docs} or on sys.path; build the documentation in a checkout'
    )


def replace_source(app: Any, docname: str, source: list[str]) -> None:
    """
    Replace the source of a page.

    :param app: application of Sphinx.
    :param docname: name of the page.
    :param source: its text, the only element.
    """
    file = ROOT_PAGES.get(docname)
    if file is not None:
        source[0] = (find_repository(Path(app.srcdir)) / file).read_text(encoding='utf-8')
    if docname == 'index':
        named = set(re.findall(r'^   (\S+)$', source[0], flags=re.MULTILINE))
        others = {name for name in app.env.found_docs if '/' not in name} - named - {'index'}
        source[0] = source[0].replace(
            _OTHER_PAGES, '\n'.join(f'   {name}' for name in sorted(others))
        )
    elif Path(app.env.doc2path(docname)).suffix == '.md':
        source[0] = source[0].replace(_PARAMETERS, write_parameters())
        source[0] = redirect_links(source[0], docname, Path(app.srcdir))


def redirect_links(text: str, docname: str, docs: Path) -> str:
    """
    Let the links of a page lead to the pages of the site.

    :param text: Markdown, with links that hold in the repository.
    :param docname: name of the page on the site.
    :param docs: folder of the pages.
    """
    file = ROOT_PAGES.get(docname, f'docs/{docname}.md')

    def redirect(match: re.Match[str]) -> str:
        target = os.path.normpath(Path(file).parent / match[1])
        target = _PAGE_OF_FILE.get(target, target)
        if Path(target).parts[0] == 'docs':
            return os.path.relpath(target, Path('docs', docname).parent)
        return os.path.relpath(find_repository(docs) / target, (docs / docname).parent)

    return _LINK.sub(redirect, text)
