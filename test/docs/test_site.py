# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Build of the documentation with Sphinx, and what it refuses."""

from __future__ import annotations

from html import unescape
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest
from trt_detector.config import parameter_specs
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / 'docs'
PAGES = sorted(
    path.relative_to(DOCS).with_suffix('').as_posix()
    for suffix in ('md', 'rst')
    for path in DOCS.rglob(f'*.{suffix}')
)
USED_BY_THE_BUILD = (
    'README.md', 'CONTRIBUTING.md', 'QUALITY_DECLARATION.md', 'CHANGELOG.rst', 'package.xml',
    'docker', 'demo', 'config', 'trt_detector',
)  # fmt: skip

pytestmark = pytest.mark.slow


def build(docs: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Build a site; skip the test if Sphinx is not installed."""
    beside = os.environ.get('TRT_DETECTOR_DOCS_FOLDER', str(Path(sys.prefix).parent / 'docs'))
    if not (Path(beside) / 'sphinx').is_dir():
        pytest.skip(f'no Sphinx in {beside}: run bringup/prepare.sh --with docs')
    outside = [folder for folder in sys.path if folder and not folder.startswith(str(ROOT))]
    # Sphinx and its docutils come first; the package is the one beside the pages.
    path = os.pathsep.join([beside, *outside])
    return subprocess.run(
        [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '--quiet', *options,
         '-d', f'{output}.doctrees', str(docs), str(output)],
        env={**os.environ, 'PYTHONPATH': path}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the documentation of this checkout."""
    output = tmp_path_factory.mktemp('site') / 'html'
    done = build(DOCS, output)
    if done.returncode:
        pytest.fail(f'{done.stdout}{done.stderr}', pytrace=False)
    return output


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a copy of the documentation, as in a source archive, in a folder with a space."""
    folder = tmp_path / 'source archive'
    shutil.copytree(DOCS, folder / 'docs', ignore=shutil.ignore_patterns('__pycache__'))
    for name in USED_BY_THE_BUILD:
        (folder / name).symlink_to(ROOT / name)
    return folder


def test_every_page_is_in_the_navigation(site: Path) -> None:
    start = (site / 'index.html').read_text(encoding='utf-8')
    linked = set(re.findall(r'class="reference internal" href="([^"#]+)\.html"', start))
    assert linked == set(PAGES) - {'index'}


@pytest.mark.parametrize('page', PAGES)
def test_page_has_one_title_and_its_text(site: Path, page: str) -> None:
    html = (site / f'{page}.html').read_text(encoding='utf-8')
    assert len(re.findall(r'<h1>', html)) == 1
    assert 'On the site this page is' not in html


def test_every_parameter_is_on_its_page_with_its_default(site: Path) -> None:
    html = (site / 'parameters.html').read_text(encoding='utf-8')
    text = unescape(re.sub(r'<[^>]+>', '', html))
    for spec in parameter_specs():
        assert f'id="{spec.name.replace("_", "-")}"' in html
        _, _, rest = text.partition(f'\n{spec.name}')
        entry = rest.partition('Default: ')[2].partition('\n')[0]
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        assert (entry == 'empty') if default in ('', []) else (yaml.safe_load(entry) == default)


def test_documented_classes_have_their_docstrings(site: Path) -> None:
    html = (site / 'api.html').read_text(encoding='utf-8')
    assert 'Open the model, build its engine' in html
    assert 'left, top, right, bottom in pixels' in html
    assert 'id="trt_detector.pipeline.Detector.detect"' in html


def test_links_between_pages_of_the_root_folder_and_docs_stay_on_the_site(site: Path) -> None:
    overview = (site / 'project' / 'overview.html').read_text(encoding='utf-8')
    assert 'href="../models.html"' in overview
    assert 'href="contributing.html"' in overview
    install = (site / 'install.html').read_text(encoding='utf-8')
    assert 'href="project/overview.html#status"' in install


def test_new_page_is_listed_and_wrong_links_fail(checkout: Path, tmp_path: Path) -> None:
    new = checkout / 'docs' / 'new_page.md'
    new.write_text('# A page that was just added\n\n[A right link](models.md#input)\n', 'utf-8')
    done = build(checkout / 'docs', tmp_path / 'site')
    assert done.returncode == 0, done.stderr
    start = (tmp_path / 'site' / 'index.html').read_text(encoding='utf-8')
    assert start.count('A page that was just added') >= 1
    with new.open('a', encoding='utf-8') as file:
        file.write('[1](missing_page.md) [2](models.md#missing-anchor) ![3](missing.png)\n')
        file.write('[4](../README.md#missing-section)\n')
    (checkout / 'docs' / 'project' / 'lonely.md').write_text('# In no table\n', 'utf-8')
    done = build(checkout / 'docs', tmp_path / 'site')
    assert done.returncode == 1
    for part in ('missing_page.md', 'missing-anchor', 'missing.png', 'missing-section', 'lonely'):
        assert part in done.stderr, part
    assert done.stderr.count('WARNING') == 5, done.stderr
