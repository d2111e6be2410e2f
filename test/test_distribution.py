# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Source archive, wheel and installation with pip, without git and without ROS 2."""

from __future__ import annotations

from email.parser import HeaderParser
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
import zipfile

import pytest
from trt_detector.__main__ import _TOOLS

ROOT = Path(__file__).parents[1]
NOT_IN_AN_ARCHIVE = ('.git', '.bringup', '.*_cache', '__pycache__', '*.egg-info', 'build', 'dist')

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, path: str = '') -> str:
    """
    Run a command in an environment without ROS 2; return its output, or fail with it.

    :param path: folders with modules, for PYTHONPATH.
    """
    environ = {'HOME': str(cwd), 'PYTHONPATH': path, 'PIP_DISABLE_PIP_VERSION_CHECK': '1'}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f'{command}: {done.stdout}{done.stderr}', pytrace=False)
    return done.stdout


def modules_of_this_environment() -> str:
    """Return the folders with the packages that pip installed here, without this package."""
    folders = [folder for folder in sys.path if folder.endswith('-packages')]
    return os.pathsep.join(f for f in folders if not (Path(f) / 'trt_detector').is_dir())


@pytest.fixture(scope='module')
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a source archive of a copy of this checkout, and unpack it."""
    pytest.importorskip('setuptools', reason='pip install setuptools')
    folder = tmp_path_factory.mktemp('archive')
    checkout = folder / 'checkout'
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*NOT_IN_AN_ARCHIVE, 'test'))
    path = modules_of_this_environment()
    run(sys.executable, 'setup.py', '-q', 'sdist', '--dist-dir', folder, cwd=checkout, path=path)
    (file,) = folder.glob('*.tar.gz')
    with tarfile.open(file) as packed:
        # The filter came with Python 3.11.4 and with the updates of older releases.
        packed.extractall(
            folder, **({'filter': 'data'} if hasattr(tarfile, 'data_filter') else {})
        )
    return folder / file.name.removesuffix('.tar.gz')


@pytest.fixture(scope='module')
def wheel(archive: Path) -> Path:
    """Build the wheel of the source archive."""
    pytest.importorskip('wheel', reason='pip install wheel')
    run(
        sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
        '--wheel-dir', archive, archive, cwd=archive, path=modules_of_this_environment(),
    )  # fmt: skip
    (file,) = archive.glob('*.whl')
    return file


@pytest.fixture(scope='module')
def python(wheel: Path) -> Path:
    """Install the wheel into a new virtual environment; return its interpreter."""
    folder = wheel.parent / 'venv'
    base = getattr(sys, '_base_executable', sys.executable)
    run(base, '-m', 'venv', '--without-pip', folder, cwd=wheel.parent)
    (site,) = folder.glob('lib/python3*/site-packages')
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    (data,) = site.glob('*.data')
    shutil.move(data / 'data' / 'share', folder / 'share')
    return folder / 'bin' / 'python3'


def test_the_module_lists_its_tools_in_a_new_environment(python: Path, tmp_path: Path) -> None:
    listed = run(python, '-m', 'trt_detector', cwd=tmp_path)
    assert {line.split()[0] for line in listed.splitlines() if line.startswith('  ')} == {*_TOOLS}


def test_detect_runs_without_ros(python: Path, tmp_path: Path) -> None:
    share = python.parents[1] / 'share' / 'trt_detector'
    path = modules_of_this_environment()
    where = 'import trt_detector; print(trt_detector.__file__)'
    assert run(python, '-c', where, cwd=tmp_path, path=path).startswith(str(python.parents[1]))
    output = run(
        python, '-m', 'trt_detector', 'detect', '--json', '--backend', 'onnxruntime',
        '--model', share / 'demo' / 'models' / 'demo_end2end.onnx',
        '--images', share / 'demo' / 'pictures' / 'scene_48_1280x720.jpg',
        cwd=tmp_path, path=path,
    )  # fmt: skip
    (entry,) = json.loads(output)
    assert (entry['width'], entry['height']) == (1280, 720)
    assert entry['detections']


def test_extras_of_the_wheel_are_those_of_the_documentation(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        (name,) = [item for item in packed.namelist() if item.endswith('.dist-info/METADATA')]
        metadata = HeaderParser().parsestr(packed.read(name).decode())
    assert metadata['Version'] == ET.parse(ROOT / 'package.xml').findtext('version')
    page = (ROOT / 'docs' / 'install.md').read_text(encoding='utf-8')
    table = page.partition('| Extra | For |')[2].partition('\n\n')[0]
    documented = {line.split('`')[1] for line in table.splitlines() if line.startswith('| `')}
    assert set(metadata.get_all('Provides-Extra')) - {'test'} == documented
    both = [text for text in metadata.get_all('Requires-Dist') if 'onnxruntime' in text]
    # They replace each other's files: no extra may bring two.
    extras = [text.partition('extra == ')[2].strip('"\'') for text in both]
    assert sorted(extras) == ['cpu', 'cuda', 'openvino']


def test_no_script_needs_git() -> None:
    for path in [*ROOT.glob('scripts/*.sh'), *ROOT.glob('bringup/*.sh'), ROOT / '.ci' / 'run']:
        code = [line.partition('#')[0] for line in path.read_text(encoding='utf-8').splitlines()]
        assert not [line for line in code if 'git ' in line.replace('apt-get', '')], path
