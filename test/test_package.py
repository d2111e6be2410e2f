# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Package description: equal to the source; installed package: complete."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import metadata
import os
from pathlib import Path
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE_XML = ET.parse(ROOT / 'package.xml').getroot()

# Modules whose rosdep key has another name.
ROSDEP_KEYS = {
    'argcomplete': 'python3-argcomplete',
    'cv2': 'python3-opencv',
    'numpy': 'python3-numpy',
    'prometheus_client': 'python3-prometheus-client',
    'scipy': 'python3-scipy',
    'tf2_ros': 'tf2_ros_py',
    'yaml': 'python3-yaml',
}

# Declared with a condition: the runtimes of TRT_DETECTOR_RUNTIME for which rosdep installs them.
CONDITIONAL_KEYS = {
    'python3-onnxruntime-pip': {'cpu', 'tensorrt'},
    'python3-onnxruntime-gpu-pip': {'cuda'},
    'python3-pynvml': {'cuda', 'tensorrt'},
    'python3-rosbags-pip': {'cpu', 'cuda', 'tensorrt'},
}

# Installed with pip, from bringup/requirements/beside_distro.txt.
PIP_MODULES = {
    'onnx': 'onnx',
    'onnxruntime': 'onnxruntime',
    'pynvml': 'nvidia-ml-py',
}

# Imported only by code that asks for it, and never needed to start: NVIDIA's own, and tools.
OPTIONAL_MODULES = {
    'av',
    'cuda',
    'fastapi',
    'faster_coco_eval',
    'nicegui',
    'nvidia',
    'pycuda',
    'pygame',
    'rosbags',
    'starlette',
    'tensorrt',
    'tensorrt_rtx',
    'uvicorn',
}

# Declared for a reason that no import shows.
DEPENDENCIES_WITHOUT_IMPORT = {'launch', 'launch_ros'}


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the top-level name of every absolute import of a file, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition('.')[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition('.')[0]


def foreign_imports() -> dict[str, list[str]]:
    """Map each module from outside Python and this package to the files that import it."""
    ours = {'trt_detector', '__future__', *sys.stdlib_module_names}
    found: dict[str, list[str]] = {}
    for folder in ('trt_detector', 'launch'):
        for path in sorted((ROOT / folder).rglob('*.py')):
            for module in sorted(set(imported_modules(path)) - ours):
                found.setdefault(module, []).append(str(path.relative_to(ROOT)))
    return found


def declared(*tags: str) -> set[str]:
    """Return the packages that package.xml declares under these tags."""
    return {element.text or '' for tag in tags for element in PACKAGE_XML.findall(tag)}


def setup_arguments() -> dict[str, ast.expr]:
    """Return the keyword arguments of the call to setup()."""
    tree = ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == 'setup'
        ):
            return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    raise AssertionError('setup.py does not call setup()')


def console_scripts() -> dict[str, str]:
    """Return the executables of setup.py and their functions."""
    entries = ast.literal_eval(setup_arguments()['entry_points'])['console_scripts']
    return dict(tuple(re.split(r'\s*=\s*', entry, maxsplit=1)) for entry in entries)


def requirement_lines(path: Path) -> list[str]:
    """Return the lines of a requirements file that require something."""
    lines = path.read_text(encoding='utf-8').splitlines()
    return [line for line in lines if line and not line.startswith('#')]


@pytest.fixture(scope='module')
def installed() -> Path:
    """Return the folder that colcon installed this package into."""
    index = pytest.importorskip('ament_index_python', reason='no ROS 2: run bringup/prepare.sh')
    try:
        return Path(index.get_package_prefix('trt_detector'))
    except index.PackageNotFoundError:
        pytest.skip('trt_detector is not installed: run bringup/prepare.sh, source bringup/env.sh')


@pytest.fixture
def site(installed: Path) -> Path:
    """Return the folder that holds the installed Python package."""
    (package,) = {
        *installed.glob('lib/python3*/*-packages/trt_detector'),
        *installed.glob('local/lib/python3*/*-packages/trt_detector'),
    }
    return package.parent


def test_package_xml_describes_an_ament_python_package() -> None:
    assert PACKAGE_XML.get('format') == '3'
    assert PACKAGE_XML.findtext('name') == 'trt_detector'
    assert PACKAGE_XML.findtext('license') == 'Apache-2.0'
    assert PACKAGE_XML.findtext('export/build_type') == 'ament_python'


def test_package_xml_passes_the_check_of_catkin_pkg() -> None:
    catkin_pkg = pytest.importorskip('catkin_pkg.package', reason='pip install catkin-pkg')
    warnings: list[str] = []
    catkin_pkg.parse_package(str(ROOT / 'package.xml'), warnings=warnings).validate()
    assert warnings == []


def test_colcon_takes_it_for_an_ament_python_package() -> None:
    pytest.importorskip('colcon_ros', reason='pip install colcon-ros')
    found = subprocess.run(
        [sys.executable, '-m', 'colcon', '--log-base', '/dev/null', 'list', '--base-paths', '.'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ['trt_detector', '.', '(ros.ament_python)']


def test_the_version_is_the_same_everywhere() -> None:
    version = PACKAGE_XML.findtext('version')
    assert ast.literal_eval(setup_arguments()['version']) == version


def test_the_changelog_has_the_headings_that_a_release_needs() -> None:
    changelog = pytest.importorskip('catkin_pkg.changelog', reason='pip install catkin-pkg')
    text = (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8')
    # As catkin_prepare_release renames it.
    title = f'{PACKAGE_XML.findtext("version")} (2026-01-01)'
    released = re.sub(
        r'^Forthcoming\n-+$', f'{title}\n{"-" * len(title)}', text, flags=re.MULTILINE
    )
    entries = changelog.Changelog('trt_detector')
    changelog.populate_changelog_from_rst(entries, released)
    newest, _, contents = next(iter(entries.foreach_version()))
    assert newest == PACKAGE_XML.findtext('version')
    # Paragraphs between the lists are the titles of groups.
    lists = [item for item in contents if isinstance(item, changelog.BulletList)]
    bullets = [bullet for items in lists for bullet in items]
    section = re.split(r'^-+$', text, flags=re.MULTILINE)[1]
    assert len(bullets) == len(re.findall(r'^\* ', section, re.MULTILINE)) > 0


@pytest.mark.parametrize(('module', 'files'), foreign_imports().items())
def test_every_import_is_declared(module: str, files: list[str]) -> None:
    if module in OPTIONAL_MODULES | PIP_MODULES.keys():
        return
    key = ROSDEP_KEYS.get(module, module)
    assert key in declared('depend', 'exec_depend'), f'package.xml lacks {key}, used by {files}'


def test_every_declared_dependency_is_imported() -> None:
    used = {ROSDEP_KEYS.get(module, module) for module in foreign_imports()}
    unused = declared('depend', 'exec_depend') - used - CONDITIONAL_KEYS.keys()
    assert unused <= DEPENDENCIES_WITHOUT_IMPORT


@pytest.mark.parametrize('runtime', ['', 'cpu', 'cuda', 'tensorrt'])
def test_the_runtime_chooses_the_keys_that_need_pip_or_a_driver(runtime: str) -> None:
    catkin_pkg = pytest.importorskip('catkin_pkg.package', reason='pip install catkin-pkg')
    package = catkin_pkg.parse_package(str(ROOT / 'package.xml'))
    package.evaluate_conditions({'TRT_DETECTOR_RUNTIME': runtime})
    names = {item.name for item in package.exec_depends if item.evaluated_condition}
    wanted = {key for key, runtimes in CONDITIONAL_KEYS.items() if runtime in runtimes}
    assert names & CONDITIONAL_KEYS.keys() == wanted


def test_pip_modules_are_pinned_for_both_kinds_of_environment() -> None:
    for name in ('runtime.txt', 'beside_distro.txt'):
        lines = requirement_lines(ROOT / 'bringup/requirements' / name)
        assert set(PIP_MODULES.values()) <= {line.partition('==')[0] for line in lines}, name


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'bringup/requirements').glob('*.txt')), ids=lambda path: path.stem
)
def test_requirements_are_pinned_once_for_each_python(path: Path) -> None:
    requirements = pytest.importorskip('packaging.requirements', reason='pip install packaging')
    for version in ('3.10', '3.11', '3.12', '3.13'):
        environment = {
            'python_version': version,
            'python_full_version': f'{version}.0',
            'platform_machine': 'x86_64',
        }
        names = []
        for line in requirement_lines(path):
            requirement = requirements.Requirement(line)
            assert [clause.operator for clause in requirement.specifier] == ['=='], line
            if requirement.marker is None or requirement.marker.evaluate(environment):
                names.append(requirement.name.lower().replace('_', '-'))
        assert sorted(names) == sorted(set(names)), f'pinned twice for Python {version}'


def test_pyproject_leaves_the_build_to_setup_py() -> None:
    text = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    tables = re.findall(r'^\[+([\w-]+)', text, re.MULTILINE)
    assert set(tables) == {'tool'}


@pytest.mark.parametrize(('name', 'target'), console_scripts().items())
def test_executable_calls_a_function_that_exists(name: str, target: str) -> None:
    module, _, function = target.partition(':')
    path = ROOT / module.replace('.', '/')
    path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    tree = ast.parse(path.read_text(encoding='utf-8'))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


def test_executables_are_installed(installed: Path) -> None:
    for name in console_scripts():
        path = installed / 'lib/trt_detector' / name
        assert os.access(path, os.X_OK), path
        # The environment's Python, wherever that is, even in a folder with spaces.
        assert path.read_text(encoding='utf-8').startswith('#!/usr/bin/env python3\n')


@pytest.mark.parametrize(
    'pattern',
    [
        'package.xml',
        'launch/*.py',
        'config/**/*.yaml',
        'config/*.json',
        'config/*.rviz',
        'demo/models/*.onnx',
        'demo/pictures/**/*.jpg',
        'demo/pictures/**/*.png',
    ],
)
def test_data_files_are_installed(installed: Path, pattern: str) -> None:
    share = installed / 'share/trt_detector'
    paths = list(ROOT.glob(pattern))
    assert paths
    for path in paths:
        copy = share / path.relative_to(ROOT)
        assert copy.is_file(), copy
        assert copy.read_bytes() == path.read_bytes(), copy


def test_data_of_modules_is_listed_without_recursive_patterns() -> None:
    listed: dict[str, list[str]] = ast.literal_eval(setup_arguments()['package_data'])
    for path in (ROOT / 'trt_detector').rglob('*'):
        if path.is_file() and path.suffix not in ('.py', '.pyc'):
            package = '.'.join(path.parent.relative_to(ROOT).parts)
            patterns = listed.get(package, [])
            assert any(fnmatch(path.name, pattern) for pattern in patterns), path


def test_marker_is_installed(installed: Path) -> None:
    assert (installed / 'share/ament_index/resource_index/packages/trt_detector').is_file()


def test_modules_and_their_data_are_installed(site: Path) -> None:
    for suffix in ('*.py', '*.cu', '*.ptx', '*.css', '*.js', '*.svg', 'py.typed'):
        for path in (ROOT / 'trt_detector').rglob(suffix):
            copy = site / path.relative_to(ROOT)
            assert copy.is_file(), copy
    assert not (site / 'test').exists()


def test_installed_metadata(site: Path) -> None:
    (distribution,) = metadata.distributions(path=[str(site)], name='trt_detector')
    assert distribution.version == PACKAGE_XML.findtext('version')
