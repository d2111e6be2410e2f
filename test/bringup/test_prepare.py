# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Shell functions that prepare an environment: steps run once, failures name the remedy."""

from pathlib import Path
import shutil
import subprocess
import sys
import time

import pytest

ROOT = Path(__file__).parents[2]
SYSTEM_PATH = '/usr/local/bin:/usr/bin:/bin'
PRELUDE = 'set -euo pipefail\nsource "bringup/lib.sh"\nstep_count=1\nlock_prefix\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder, with a space in its name, that holds nothing but the functions."""
    root = tmp_path / 'a checkout'
    (root / 'bringup').mkdir(parents=True)
    shutil.copy(ROOT / 'bringup/lib.sh', root / 'bringup')
    return root


def run_script(checkout: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run lines of bash after those that every script of ours starts with."""
    environment = {'PATH': SYSTEM_PATH, **variables}
    return subprocess.run(
        ['bash', '-c', PRELUDE + script],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


ADD_A_LINE = 'add_line() { echo once >>made; }\nstep name KEY "adding a line" hint add_line\n'


def test_a_step_runs_once_for_a_key(checkout: Path) -> None:
    first = run_script(checkout, ADD_A_LINE.replace('KEY', 'one'))
    again = run_script(checkout, ADD_A_LINE.replace('KEY', 'one'))
    assert first.stdout == '[1/1] adding a line … done in 0 s\n'
    assert again.stdout == '[1/1] adding a line … already there\n'
    assert (checkout / 'made').read_text(encoding='utf-8') == 'once\n'


def test_a_step_runs_again_for_another_key(checkout: Path) -> None:
    for key in ('one', 'two', 'one'):
        assert 'done in' in run_script(checkout, ADD_A_LINE.replace('KEY', key)).stdout
    assert (checkout / 'made').read_text(encoding='utf-8').count('once') == 3


def test_a_failed_step_shows_its_log_and_a_hint_and_is_not_done(checkout: Path) -> None:
    script = (
        'lose() { echo "the cause"; false; echo "not reached"; }\n'
        'step name key "losing" "try something else" lose\necho "not reached"\n'
    )
    for _ in range(2):
        finished = run_script(checkout, script)
        assert finished.returncode == 1
        assert finished.stdout.startswith('[1/1] losing … FAILED after ')
        assert 'not reached' not in finished.stdout + finished.stderr
        assert 'the cause' in finished.stderr
        assert str(checkout / '.bringup/log/name.log') in finished.stderr
        assert 'try something else' in finished.stderr


def test_a_killed_step_is_not_done(checkout: Path) -> None:
    killed = run_script(checkout, 'die_now() { kill -9 $$; }\nstep name key text hint die_now\n')
    assert killed.returncode == -9
    assert run_script(checkout, 'is_done name key\n').returncode == 1


def test_the_hash_follows_names_and_contents_only(checkout: Path) -> None:
    def hash_now() -> str:
        finished = run_script(checkout, 'hash_of things absent\n')
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    things = checkout / 'things'
    things.mkdir()
    (things / 'a file').write_text('1', encoding='utf-8')
    before = hash_now()
    (things / '__pycache__').mkdir()
    (things / '__pycache__/a.pyc').write_text('compiled', encoding='utf-8')
    (things / 'a file').touch()
    assert hash_now() == before
    (things / 'a file').write_text('2', encoding='utf-8')
    after = hash_now()
    assert after != before
    (things / 'a file').rename(things / 'another file')
    assert hash_now() not in {before, after}


def test_the_hash_of_nothing_is_not_the_hash_of_everything(checkout: Path) -> None:
    first = run_script(checkout, 'hash_of absent\n').stdout
    (checkout / 'something').write_text('1', encoding='utf-8')
    assert run_script(checkout, 'hash_of absent\n').stdout == first


def test_two_runs_take_turns(checkout: Path) -> None:
    script = 'wait_a_second() { sleep 1; }\nstep name key text hint wait_a_second\n'
    with subprocess.Popen(
        ['bash', '-c', PRELUDE + script],
        cwd=checkout,
        env={'PATH': SYSTEM_PATH},
        stdout=subprocess.DEVNULL,
    ) as first:
        deadline = time.monotonic() + 30
        while not (checkout / '.bringup/log/name.log').exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        second = run_script(checkout, script)
        assert 'Another run prepares this checkout' in second.stdout
        assert 'already there' in second.stdout
        assert first.wait(30) == 0


def test_each_distribution_has_a_place_of_its_own(checkout: Path) -> None:
    script = 'echo "$venv"\n'
    assert run_script(checkout, script).stdout == f'{checkout}/.bringup/venv\n'
    distro = run_script(checkout, script, ROS_DISTRO='jazzy')
    assert distro.stdout == f'{checkout}/.bringup/jazzy/venv\n'


def test_what_is_made_is_hidden_from_colcon(checkout: Path) -> None:
    run_script(checkout, '')
    assert (checkout / '.bringup/COLCON_IGNORE').exists()
    assert (checkout / '.bringup/AMENT_IGNORE').exists()


def test_missing_tools_are_named_as_debian_packages(checkout: Path) -> None:
    tools = checkout / 'tools'
    tools.mkdir()
    for name in ('bash', 'dirname', 'mkdir', 'touch', 'flock'):
        (tools / name).symlink_to(shutil.which(name) or name)
    finished = run_script(checkout, f'missing_tools {sys.executable}\n', PATH=str(tools))
    assert finished.returncode == 0, finished.stderr
    assert {'cmake', 'g++', 'make'} <= set(finished.stdout.split())
    for name in ('cmake', 'c++', 'make'):
        (tools / name).symlink_to('/bin/true')
    found = run_script(checkout, f'missing_tools {sys.executable}\n', PATH=str(tools)).stdout
    assert not {'cmake', 'g++', 'make'} & set(found.split())


@pytest.mark.parametrize('script', ['bringup/prepare.sh', 'scripts/test.sh', 'scripts/demo.sh'])
def test_help_prepares_nothing(script: str) -> None:
    finished = subprocess.run(
        [ROOT / script, '--help'], capture_output=True, text=True, check=False, timeout=10
    )
    assert finished.returncode == 0
    assert finished.stdout.startswith(f'usage: {script}')
    assert '[1/' not in finished.stdout


@pytest.mark.parametrize('script', ['bringup/prepare.sh', 'scripts/test.sh', 'scripts/demo.sh'])
def test_an_unknown_argument_is_refused(script: str) -> None:
    finished = subprocess.run(
        [ROOT / script, '--nonsense'], capture_output=True, text=True, check=False, timeout=10
    )
    assert finished.returncode == 1
    assert "unknown argument '--nonsense'" in finished.stderr
    assert '[1/' not in finished.stdout


def test_env_asks_for_preparation_first(checkout: Path) -> None:
    shutil.copy(ROOT / 'bringup/env.sh', checkout / 'bringup')
    finished = run_script(checkout, 'set +e\nsource bringup/env.sh\necho "status $?"\n')
    assert finished.stdout == 'status 1\n'
    assert finished.stderr.endswith(f'Run: {checkout}/bringup/prepare.sh\n')


def test_env_puts_each_folder_first_and_only_once(checkout: Path) -> None:
    shutil.copy(ROOT / 'bringup/env.sh', checkout / 'bringup')
    executables = checkout / '.bringup/venv/bin'
    executables.mkdir(parents=True)
    (executables / 'python3').touch(mode=0o755)
    site = checkout / '.bringup/install/trt_detector/lib/python3.12/site-packages'
    site.mkdir(parents=True)
    (checkout / '.bringup/install/trt_detector/lib/trt_detector').mkdir()
    script = 'source bringup/env.sh\nPATH=/before:$PATH\nsource bringup/env.sh\n'
    finished = run_script(checkout, script + 'echo "$PATH"\necho "$PYTHONPATH"\n')
    path, python_path = finished.stdout.splitlines()
    assert python_path == str(site)
    assert path.split(':') == [
        f'{checkout}/.bringup/install/trt_detector/lib/trt_detector',
        f'{executables}',
        '/before',
        *SYSTEM_PATH.split(':'),
    ]


@pytest.mark.parametrize(
    ('cases', 'line', 'status'),
    [
        ('<testcase/><testcase/>', '2 passed, 0 failed, 0 skipped', 0),
        ('<testcase/><testcase><failure/></testcase>', '1 passed, 1 failed, 0 skipped', 1),
        ('<testcase/><testcase><error/></testcase>', '1 passed, 1 failed, 0 skipped', 1),
        ('<testcase/><testcase><skipped/></testcase>', '1 passed, 0 failed, 1 skipped', 0),
        (
            '<testcase><failure/><error/></testcase><testcase/>',
            '1 passed, 1 failed, 0 skipped',
            1,
        ),
        ('<testcase><skipped/></testcase>', '0 passed, 0 failed, 1 skipped', 1),
        ('', '0 passed, 0 failed, 0 skipped', 1),
        (None, '0 passed, 1 failed, 0 skipped', 1),
    ],
)
def test_count(tmp_path: Path, cases: str | None, line: str, status: int) -> None:
    path = tmp_path / 'results.xml'
    if cases is not None:
        text = f'<testsuites><testsuite>{cases}</testsuite></testsuites>'
        path.write_text(text, encoding='utf-8')
    finished = subprocess.run(
        ['python3', ROOT / 'scripts/count_tests.py', path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stdout.splitlines()[-1] == line
    assert finished.returncode == status
