# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that were interrupted, and outputs that exist."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
import re
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from support import bags
from support.models import constant_detector, lamp_detector, metadata
from trt_detector.errors import EngineError
from trt_detector.pipeline import Detector, PendingBatch
from trt_detector.tools.run_bag import main
from trt_detector.values.batch_result import BatchResult

FRONT = '/front/image_raw'
CELLS = [n * 7 % 64 for n in range(40)]
# Kills the process as it writes the journal's line number KILL_AT, after the first half of it.
KILLED = """
import os, signal, sys
from trt_detector.tools.run_bag import journal, main

count = 0
original = journal.Journal._append

def append(self, value):
    global count
    count += 1
    if count == int(sys.argv[1]):
        line = journal.json.dumps(value).encode()
        self._file.write(line[: len(line) // 2])
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    original(self, value)

journal.Journal._append = append
main(sys.argv[2:])
"""


@pytest.fixture(name='model', scope='module')
def _model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lamp_detector(tmp_path_factory.mktemp('model') / 'lamp.onnx')


@pytest.fixture(name='bag')
def _bag(tmp_path: Path) -> Path:
    clock = [
        ('/clock', bags.TIME, n * 11_000_000, bags.make(bags.TIME, sec=n, nanosec=0))
        for n in range(400)
    ]
    messages = bags.lamp_messages(CELLS)
    messages[11] = (FRONT, bags.RAW, messages[11][2], b'\x00\x01\x00\x00none')
    return bags.write_bag(tmp_path / 'bag', [*messages, *clock])


def arguments(model: Path, bag: Path, output: Path, *options: object) -> list[str]:
    given = ['--model', model, '--bag', bag, '--output', output, '--backend', 'onnxruntime']
    return [str(argument) for argument in (*given, *options)]


def kill(at: int, arguments: list[str]) -> None:
    """Run the tool and kill it with SIGKILL as it writes a line of the journal."""
    program = [sys.executable, '-c', KILLED, str(at), *arguments]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    ('name', 'kills'),
    [
        ('out', (5,)),
        ('out.mcap', (1, 2)),
        ('out.mcap', (9, 4)),
        ('out.db3', (5,)),
        ('out.json', (5,)),
        ('out.mp4', (5,)),
    ],
)
def test_a_killed_run_continues_and_its_output_is_the_same(
    model: Path, bag: Path, tmp_path: Path, name: str, kills: tuple[int, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    copy = ('--copy',) if name in ('out', 'out.mcap', 'out.db3') else ()
    options = ('--batch-size', 3, *copy)
    whole, resumed = tmp_path / 'whole' / name, tmp_path / 'resumed' / name
    assert main(arguments(model, bag, whole, *options)) == 1
    for at in kills:
        kill(at, arguments(model, bag, resumed, *options))
        assert not resumed.exists()
    report = tmp_path / 'report.json'
    assert main([*arguments(model, bag, resumed, *options), '--json', str(report)]) == 1
    facts = json.loads(report.read_text())
    assert (facts['read'], facts['written'], facts['malformed']) == (40, 39, 1)
    # Lines 1 and 2 are the settings and the engine; a batch is three images, the malformed one
    # beside.
    if max(kills) > 3:
        assert f'continuing after {facts["continued_after"]} images' in capsys.readouterr().err
        assert 0 < facts['continued_after'] < 40
    else:
        assert facts['continued_after'] == 0
    assert contents(resumed) == contents(whole)
    assert not resumed.with_name(f'{name}.partial').exists()


def contents(output: Path) -> object:
    """Return what decides whether two outputs are the same."""
    if output.suffix == '.mp4':
        video, frames = cv2.VideoCapture(str(output)), []
        while (read := video.read())[0]:
            frames.append(read[1].tobytes())
        return frames
    files = sorted(output.iterdir()) if output.is_dir() else [output]
    return [(file.name, file.read_bytes()) for file in files]


def test_an_input_size_that_the_first_image_chose_is_kept(bag: Path, tmp_path: Path) -> None:
    # It answers in pixels of its input, so the detections show its size.
    answer = np.array([[8, 8, 24, 24, 0.9, 0]], np.float32)
    model = constant_detector(
        tmp_path / 'open.onnx', answer, props=metadata(end2end=True), size=('h', 'w')
    )
    sizes = [(64, 64)] * 3 + [(320, 48)] * 20
    messages = [
        (FRONT, bags.RAW, n + 1, bags.raw(np.zeros((h, w, 3), np.uint8), bags.header(n)))
        for n, (w, h) in enumerate(sizes)
    ]
    bag = bags.write_bag(tmp_path / 'sizes', messages)
    options = ('--batch-size', 3)
    assert main(arguments(model, bag, tmp_path / 'whole' / 'out', *options)) == 0
    # The run continues with a wide image, the other one began with a square one.
    kill(5, arguments(model, bag, tmp_path / 'resumed' / 'out', *options))
    assert main(arguments(model, bag, tmp_path / 'resumed' / 'out', *options)) == 0
    assert contents(tmp_path / 'resumed' / 'out') == contents(tmp_path / 'whole' / 'out')
    assert main(arguments(model, bag, tmp_path / 'fixed', *options, '--input-shape', '32x64')) == 0
    assert contents(tmp_path / 'fixed') != contents(tmp_path / 'whole' / 'out')


def test_a_run_killed_before_the_output_is_moved_only_writes_it_again(
    model: Path, bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trt_detector.tools.run_bag.work_folder import WorkFolder

    def fail(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(WorkFolder, 'publish', fail)
        assert main(arguments(model, bag, tmp_path / 'out')) == 1
    report = tmp_path / 'report.json'
    assert main([*arguments(model, bag, tmp_path / 'out'), '--json', str(report)]) == 1
    assert json.loads(report.read_text())['continued_after'] == 40
    assert len(bags.read_bag(tmp_path / 'out')) == 39


INTERRUPTED = KILLED.replace('SIGKILL', 'SIGINT').replace(
    'main(sys.argv[2:])', 'sys.exit(main(sys.argv[2:]))'
)


def test_ctrl_c_says_how_to_continue(model: Path, bag: Path, tmp_path: Path) -> None:
    given = arguments(model, bag, tmp_path / 'out', '--batch-size', 3, '--copy')
    program = [sys.executable, '-c', INTERRUPTED, '6', *given]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert 'interrupted; the same command continues where it stopped' in done.stderr
    assert 'Traceback' not in done.stderr
    assert main(given) == 1
    assert main(arguments(model, bag, tmp_path / 'whole' / 'out', *given[8:])) == 1
    assert contents(tmp_path / 'out') == contents(tmp_path / 'whole' / 'out')


def test_a_failed_inference_ends_the_run_which_can_be_continued(
    model: Path, bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    original = Detector.collect
    calls = 0

    def collect(detector: Detector, pending: PendingBatch) -> BatchResult:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise EngineError('the device is lost')
        return original(detector, pending)

    given = arguments(model, bag, tmp_path / 'out', '--batch-size', 3)
    with monkeypatch.context() as patch:
        patch.setattr(Detector, 'collect', collect)
        assert main(given) == 1
    assert 'run_bag: the device is lost' in capsys.readouterr().err
    assert main(given) == 1
    assert 'continuing after ' in capsys.readouterr().err
    assert len(bags.read_bag(tmp_path / 'out')) == 39


# A limit of the file size is a full disk for this process only.
FULL = """
import resource, signal, sys
from trt_detector.tools.run_bag import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
code = main(sys.argv[1:])
# The data of a measurement of coverage are written at the end.
resource.setrlimit(resource.RLIMIT_FSIZE, before)
sys.exit(code)
"""


@pytest.mark.parametrize('name', ['out.mcap', 'out.db3', 'out.mp4'])
def test_a_full_disk_is_an_error_and_the_run_can_be_continued(
    model: Path, tmp_path: Path, name: str
) -> None:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (12, 256, 256, 3), np.uint8)
    messages = [
        (FRONT, bags.RAW, n + 1, bags.raw(picture, bags.header(n)))
        for n, picture in enumerate(noise)
    ]
    bag = bags.write_bag(tmp_path / 'bag', messages)
    copy = () if name == 'out.mp4' else ('--copy',)
    given = arguments(model, bag, tmp_path / name, *copy)
    program = [sys.executable, '-c', FULL, *given]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert 'Traceback' not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith('run_bag: ')]
    assert re.search('is the disk full|cannot be written|File too large', errors[-1]), errors
    assert not (tmp_path / name).exists()
    assert main(given) == 0


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        (('--score-threshold', '0.5'), 'score_threshold'),
        (('--copy', '/clock'), 'copied topics'),
        (('--format', 'coco'), 'format'),
    ],
)
def test_an_interrupted_run_with_other_options_is_kept(
    model: Path, bag: Path, tmp_path: Path, options: tuple[str, ...], name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    kill(6, arguments(model, bag, tmp_path / 'out', '--batch-size', 2))
    other = arguments(model, bag, tmp_path / 'out', '--batch-size', 2, *options)
    assert main(other) == 1
    error = capsys.readouterr().err
    assert f'holds an interrupted run with another {name}: ' in error
    assert 'start again with --overwrite' in error
    assert main([*other, '--overwrite']) == 1
    assert 'continuing after' not in capsys.readouterr().err
    assert (tmp_path / 'out').exists()


def test_another_bag_or_model_is_noticed(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kill(6, arguments(model, bag, tmp_path / 'out'))
    other = lamp_detector(tmp_path / 'other.onnx', rows=5)
    assert main(arguments(other, bag, tmp_path / 'out')) == 1
    assert 'an interrupted run with another model: ' in capsys.readouterr().err
    longer = bags.write_bag(tmp_path / 'longer', bags.lamp_messages([1, 2]))
    assert main(arguments(model, longer, tmp_path / 'out')) == 1
    assert 'an interrupted run with another bag: ' in capsys.readouterr().err


def test_an_output_that_exists_is_replaced_only_when_it_is_complete(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / 'out'
    assert main(arguments(model, bag, output)) == 1
    before = contents(output)
    assert main(arguments(model, bag, output)) == 1
    assert f'--output {output} exists; ' in capsys.readouterr().err
    again = arguments(model, bag, output, '--overwrite', '--classes', 'box')
    kill(5, again)
    assert contents(output) == before
    assert main(again) == 1
    assert 'continuing after' in capsys.readouterr().err
    assert contents(output) != before


@pytest.mark.parametrize('name', ['home', 'bag', 'bag/inside', '.'])
def test_folders_of_others_are_never_replaced(
    model: Path, bag: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'home').mkdir()
    (tmp_path / 'home' / 'thesis.txt').write_text('years of work')
    before = sorted(str(path) for path in tmp_path.rglob('*'))
    assert main(arguments(model, bag, tmp_path / name, '--overwrite')) == 1
    assert 'choose another --output' in capsys.readouterr().err
    assert sorted(str(path) for path in tmp_path.rglob('*')) == before


def test_a_bag_with_other_files_beside_it_is_not_replaced(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / 'out'
    assert main(arguments(model, bag, output)) == 1
    (output / 'notes.txt').write_text('mine')
    assert main(arguments(model, bag, output, '--overwrite')) == 1
    assert 'holds notes.txt beside a bag' in capsys.readouterr().err


def test_two_runs_do_not_write_one_output(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kill(6, arguments(model, bag, tmp_path / 'out'))
    with (tmp_path / 'out.partial' / 'journal.jsonl').open('a') as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        assert main(arguments(model, bag, tmp_path / 'out', '--overwrite')) == 1
    assert 'another run_bag is writing to ' in capsys.readouterr().err


def test_a_run_that_fails_early_leaves_nothing(
    model: Path, bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(b'no model')
    assert main(arguments(broken, bag, tmp_path / 'out')) == 1
    assert main(arguments(tmp_path / 'missing.onnx', bag, tmp_path / 'out')) == 1
    assert 'missing.onnx' in capsys.readouterr().err
    assert list(tmp_path.glob('out*')) == []
