# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Every command of the pages runs here, is run by another test, or says what it needs."""

from __future__ import annotations

import ast
from functools import cache
import json
import os
from pathlib import Path
import re
import shlex
import shutil
import signal
import subprocess
import sys

import cv2
import pytest
from support.doc_commands import Command, list_commands, PAGES, ROOT
import support.ros_graph as graph

pytestmark = pytest.mark.slow

# Commands, as regular expressions, and the test that runs what they run.
RUN_BY_ANOTHER_TEST = {
    r'scripts/test\.sh.*': 'test/bringup/test_prepare.py',
    r'scripts/demo\.sh .*': 'test/demo/test_play.py',
    r'scripts/docs\.sh.*': 'test/docs/test_site.py',
    r'scripts/fuzz\.sh .*': 'test/fuzz/test_targets.py',
    r'scripts/soak\.sh .*': 'test/soak/test_soak.py',
    r'source bringup/env\.sh': 'test/bringup/test_prepare.py',
    r"pip install '\.\[[\w,]+\]'": 'test/test_distribution.py',
    r'python3 docs/benchmarks/node\.py .*': 'test/docs/test_benchmark_node.py',
    r'.* doctor --topic \S+': 'test/tools/test_topic_check.py::test_doctor_checks_a_live_topic',
    r'.* calibrate .*--topic \S+': 'test/tools/test_calibrate.py::test_a_live_topic',
    r'.* dashboard(?: .*)?': 'test/dashboard/test_browser.py',
    r'.* run_bag .*': 'test/docs/test_bags.py',
    # These take minutes.
    r'.* benchmark_node .*': 'test/tools/benchmark_node/test_run.py',
    r'.* benchmark .*--sweep .*': 'test/tools/test_benchmark.py',
    r'.* calibrate .*--sensitivity .*': 'test/quantize/test_sensitivity.py',
}
TOOL = re.compile(r'(?:ros2 run|python3 -m) trt_detector (\w+)(.*)')
COMMANDS = list_commands()
NAMES = [f'{c.page}:{c.line}' for c in COMMANDS]


def find_test(text: str) -> str:
    """Return the test that runs a command, '' if none does."""
    return next((t for p, t in RUN_BY_ANOTHER_TEST.items() if re.fullmatch(p, text)), '')


TO_RUN = [c for c in COMMANDS if TOOL.fullmatch(c.text) and not c.needs and not find_test(c.text)]


@cache
def show_help(*command: str) -> str:
    """Return what a program prints with --help."""
    return subprocess.run(
        [*command, '--help'], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


def test_commands_are_found() -> None:
    assert len(COMMANDS) >= 70
    assert len(TO_RUN) >= 6
    assert {c.page for c in COMMANDS} <= {page.relative_to(ROOT).as_posix() for page in PAGES}


@pytest.mark.parametrize('command', COMMANDS, ids=NAMES)
def test_command_runs_or_says_what_it_needs(command: Command) -> None:
    test = find_test(command.text)
    if command.needs or command in TO_RUN:
        return
    assert test, (
        f'{command.page}, line {command.line}: no test runs "{command.text}"; write "Needs ...:" '
        'into the paragraph before it, with the hardware or software that it needs'
    )
    path, _, function = test.partition('::')
    tree = ast.parse((ROOT / path).read_text(encoding='utf-8'))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert not function or function in defined, test


@pytest.mark.parametrize(
    'command',
    [c for c in COMMANDS if c.text.startswith('scripts/')],
    ids=lambda c: f'{c.page}:{c.line}',
)
def test_scripts_have_the_options_of_the_pages(command: Command) -> None:
    script, *arguments = shlex.split(command.text)
    shown = show_help('bash', script)
    options = [a for a in arguments[: [*arguments, '--'].index('--')] if a.startswith('--')]
    assert [option for option in options if option not in shown] == []


@pytest.mark.parametrize(
    'command',
    [c for c in COMMANDS if TOOL.fullmatch(c.text) and '--ros-args' not in c.text],
    ids=lambda c: f'{c.page}:{c.line}',
)
def test_tools_have_the_options_of_the_pages(command: Command) -> None:
    tool, arguments = TOOL.fullmatch(command.text).groups()  # type: ignore[union-attr]
    shown = show_help(sys.executable, '-m', 'trt_detector', tool)
    options = [word for word in shlex.split(arguments) if word.startswith('--')]
    assert [option for option in options if option not in shown] == []


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the files that the commands name: a model, pictures, a video, a bag, annotations."""
    folder = tmp_path_factory.mktemp('commands')
    for name in ('model.onnx', 'M.onnx'):
        shutil.copy(ROOT / 'demo' / 'models' / 'demo_raw.onnx', folder / name)
    pictures = folder / 'pictures'
    pictures.mkdir()
    truth = json.loads((ROOT / 'demo/pictures/ground_truth.json').read_text(encoding='utf-8'))
    images = [entry for entry in truth['images'] if entry['width'] <= 640]
    for entry in images:
        shutil.copy(ROOT / 'demo' / 'pictures' / entry['file_name'], pictures)
        shutil.copy(ROOT / 'demo' / 'pictures' / entry['file_name'], folder)
    kept = {entry['id'] for entry in images}
    annotations = [entry for entry in truth['annotations'] if entry['image_id'] in kept]
    (folder / 'annotations.json').write_text(
        json.dumps({**truth, 'images': images, 'annotations': annotations}), 'utf-8'
    )
    shown = [cv2.imread(str(path)) for path in sorted(pictures.iterdir())]
    write_video(folder / 'drive.mp4', shown)
    write_bag(folder / 'rosbag2_folder', shown)
    run(
        folder,
        'calibrate',
        '--model',
        'model.onnx',
        '--output',
        'model.calib',
        '--images',
        'pictures',
    )
    return folder


def write_video(path: Path, pictures: list) -> None:
    """Write a video of 320x240."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 10, (320, 240))
    if not writer.isOpened():
        pytest.skip('OpenCV has no encoder for mp4v here: pip install opencv-python-headless')
    for picture in pictures:
        writer.write(cv2.resize(picture, (320, 240)))
    writer.release()


def write_bag(path: Path, pictures: list) -> None:
    """Write a bag with one topic of compressed images."""
    rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='pip install rosbags')
    typesys = pytest.importorskip('rosbags.typesys', reason='pip install rosbags')
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    kind = store.types['sensor_msgs/msg/CompressedImage']
    header, time = store.types['std_msgs/msg/Header'], store.types['builtin_interfaces/msg/Time']
    with rosbag2.Writer(path, version=9) as writer:
        connection = writer.add_connection('/camera/compressed', kind.__msgtype__, typestore=store)
        for number, picture in enumerate(pictures):
            data = cv2.imencode('.jpg', picture)[1].ravel()
            message = kind(header(time(number, 0), 'camera'), 'jpeg', data)
            serialized = store.serialize_cdr(message, kind.__msgtype__)
            writer.write(connection, number * 10**9, serialized)


def run(folder: Path, tool: str, *arguments: str) -> None:
    """Run a tool in a folder; fail with its output if it fails."""
    environ = {**os.environ, 'XDG_CACHE_HOME': str(folder / 'cache')}
    environ['PYTHONPATH'] = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, '-m', 'trt_detector', tool, *arguments],
        cwd=folder, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f'{done.stdout}{done.stderr}'


@pytest.mark.parametrize('command', TO_RUN, ids=lambda c: f'{c.page}:{c.line}')
def test_command_runs(command: Command, folder: Path) -> None:
    tool, arguments = TOOL.fullmatch(command.text).groups()  # type: ignore[union-attr]
    if tool != 'detector_node':
        run(folder, tool, *shlex.split(arguments))
        return
    # A relative model_path is that of the working directory.
    arguments = arguments.replace('model_path:=', f'model_path:={folder}/')
    with graph.node_process(*shlex.split(arguments), domain=graph.next_domain()) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if 'detecting in' in line or 'failed' in line:
                break
        if any('cannot be imported' in line for line in lines):
            pytest.skip(lines[-2])
        assert 'detecting in' in ''.join(lines), ''.join(lines)
        process.send_signal(signal.SIGINT)
        graph.output_at_end(process)
        assert process.returncode == 0
