# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files, run where launch is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import itertools
import os
from pathlib import Path
import re
import runpy
import signal
import subprocess
import sys

import pytest
from support.launch_sources import import_launch
from support.ros_graph import MODEL, next_domain, ROOT
from trt_detector.process.tuning import camera_environment

REASON = import_launch()
if REASON:
    pytest.skip(REASON, allow_module_level=True)
ament_index = pytest.importorskip(
    'ament_index_python.packages', reason='ament_index_python is missing: source ROS 2'
)

RUN = """
import sys
from support.launch_sources import import_launch
assert not import_launch()
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [argument.split(':=', 1) for argument in sys.argv[2:]]
service = LaunchService()
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)]))
sys.exit(service.run())
"""


@pytest.fixture(autouse=True)
def installed() -> None:
    """Skip where the executables that launch looks for are not installed."""
    try:
        prefix = Path(ament_index.get_package_prefix('trt_detector'))
    except ament_index.PackageNotFoundError:
        pytest.skip('trt_detector is not installed: build it with colcon and source it')
    if not (prefix / 'lib' / 'trt_detector' / 'detector_node').exists():
        pytest.skip(f'{prefix} has no executables: build trt_detector with colcon')


@contextmanager
def launch(name: str | Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a launch file in a process and a ROS domain of its own."""
    process = subprocess.Popen(
        [sys.executable, '-c', RUN, str(ROOT / 'launch' / name), *arguments],
        env={
            **os.environ,
            'ROS_DOMAIN_ID': str(next_domain()),
            'PYTHONUNBUFFERED': '1',
            'PYTHONPATH': os.pathsep.join((str(ROOT / 'test'), os.environ.get('PYTHONPATH', ''))),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # The nodes outlive a launch that is killed.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return what the process prints up to the line that holds a text."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return ''.join(lines)
    raise AssertionError(f'{text!r} never came:\n{"".join(lines)}')


def stop(process: subprocess.Popen[str]) -> str:
    """Interrupt the launch and its nodes, as Ctrl-C does; return what they print after that."""
    # Some releases of launch leave it to the terminal to interrupt the nodes.
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    return output


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL} is missing: make it with demo/train.py')
def test_detector_goes_to_active_and_empty_arguments_leave_the_file_alone(tmp_path: Path) -> None:
    config = tmp_path / 'mine.yaml'
    config.write_text(
        # The launch file brings the node up: with autostart, too, one of them would be refused.
        '/robot/eyes: {ros__parameters: {backend: onnxruntime, image_topics: [front/image], '
        f"autostart: true, model_path: '{MODEL}'}}}}\n"
    )
    arguments = ('namespace:=robot', 'node_name:=eyes', f'params_file:={config}')
    with launch('detector.launch.py', *arguments) as process:
        output = read_until(
            process, 'detecting in /robot/front/image, publishing /robot/eyes/detections'
        )
        output += stop(process)
    assert process.returncode == 0, output
    assert 'process has finished cleanly' in output
    assert 'ERROR' not in output
    assert 'failed' not in output


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL} is missing: make it with demo/train.py')
def test_arguments_override_the_file(tmp_path: Path) -> None:
    config = tmp_path / 'mine.yaml'
    config.write_text(
        '/**: {ros__parameters: {backend: onnxruntime, image_topics: [front/image], '
        'model_path: /no/such.onnx}}\n'
    )
    arguments = (f'model:={MODEL}', 'image_topic:=/rear/image', f'params_file:={config}')
    with launch('detector.launch.py', *arguments) as process:
        read_until(process, 'detecting in /rear/image, publishing /detector/detections')
        stop(process)
    assert process.returncode == 0


def test_launch_ends_with_an_error_if_configure_fails() -> None:
    with launch('detector.launch.py', 'model:=/no/such.onnx') as process:
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 1, output
    assert 'cannot configure: cannot read the model /no/such.onnx' in output
    assert 'the detector cannot be configured or activated; see its log' in output


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL} is missing: make it with demo/train.py')
def test_demo_launch_starts_camera_and_detector() -> None:
    with launch('demo.launch.py') as process:
        read_until(process, 'detecting in /demo/image_raw, publishing /demo/detector/detections')
        output = stop(process)
    assert 'images on /demo/image_raw' in output
    assert process.returncode == 0, output


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL} is missing: make it with demo/train.py')
def test_several_topics_transport_and_sim_time_are_arguments(tmp_path: Path) -> None:
    config = tmp_path / 'mine.yaml'
    config.write_text('/**: {ros__parameters: {backend: onnxruntime}}\n')
    arguments = (
        f'model:={MODEL}',
        f'params_file:={config}',
        'image_topics:=[/front/image, /rear/image]',
        'image_transport:=compressed',
        'use_sim_time:=True',
    )
    with launch('detector.launch.py', *arguments) as process:
        text = read_until(process, 'detecting in /front/image')
        read_until(process, 'detecting in /rear/image')
        (pid,) = re.findall(r'process started with pid \[(\d+)\]', text)
        command = Path('/proc', pid, 'cmdline').read_text().split('\0')
        files = [
            Path(after).read_text()
            for before, after in itertools.pairwise(command)
            if before == '--params-file'
        ]
        stop(process)
    assert any('use_sim_time: true' in text for text in files)
    assert any('image_transport: compressed' in text for text in files)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('image_topics:=/front/image', "image_topics is '/front/image'; expected '["),
        ('image_topics:=[front/image', "image_topics is '[front/image'; expected '["),
        ('respawn:=yes', 'Argument "respawn" provided value "yes" is not valid'),
        (
            'camera_settings:=show',
            "\"show\" is not valid. Valid options are: ['', 'print', 'export']",
        ),
    ],
)
def test_wrong_arguments_are_refused(argument: str, message: str) -> None:
    with launch('detector.launch.py', argument) as process:
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert message in output


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('detector.launch.py', 'params_file {!r} is no file'),
        ('detections_3d.launch.py', 'params_file {!r} is no file'),
        ('multi.launch.py', 'cannot read params_file {!r}'),
    ],
)
def test_missing_parameter_file_is_refused(name: str, expected: str) -> None:
    # The shell leaves a ~ behind := alone.
    with launch(name, 'params_file:=~/no/such.yaml') as process:
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert expected.format(str(Path.home() / 'no' / 'such.yaml')) in output


def test_launch_stays_if_it_is_told_to() -> None:
    arguments = ('model:=/no/such.onnx', 'end_launch_on_exit:=false')
    with launch('detector.launch.py', *arguments) as process:
        read_until(process, 'the detector cannot be configured or activated; see its log')
        assert process.poll() is None
        output = stop(process)
    assert process.returncode == 0, output


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL} is missing: make it with demo/train.py')
def test_a_respawned_node_is_activated_again(tmp_path: Path) -> None:
    config = tmp_path / 'mine.yaml'
    config.write_text('/**: {ros__parameters: {backend: onnxruntime}}\n')
    arguments = (f'model:={MODEL}', f'params_file:={config}', 'respawn:=true')
    with launch('detector.launch.py', *arguments) as process:
        text = read_until(process, 'detecting in /image_raw')
        (pid,) = re.findall(r'process started with pid \[(\d+)\]', text)
        os.kill(int(pid), signal.SIGKILL)
        text = read_until(process, 'detecting in /image_raw')
        assert re.findall(r'process started with pid \[(\d+)\]', text) != [pid]
        output = stop(process)
    assert process.returncode == 0, output


def test_camera_settings_are_printed() -> None:
    arguments = ('model:=/no/such.onnx', 'camera_settings:=print')
    with launch('detector.launch.py', *arguments) as process:
        output, _ = process.communicate(timeout=100)
    (line,) = [line for line in output.splitlines() if 'start the camera with: ' in line]
    settings = dict(pair.split('=') for pair in line.partition('with: ')[2].split())
    assert settings == camera_environment()
    assert Path(*settings.values()).is_file()


def test_camera_settings_are_exported_to_what_is_started_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from launch import LaunchContext

    settings = camera_environment()
    for name in settings:
        monkeypatch.delenv(name, raising=False)
    context = LaunchContext()
    make_settings = runpy.run_path(str(ROOT / 'launch' / 'detector.launch.py'))['make_settings']
    for action in make_settings('export'):
        action.execute(context)
    assert settings.items() <= context.environment.items()
    assert settings


AROUND = f"""
from launch import LaunchDescription
from launch.actions import ExecuteProcess, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

def generate_launch_description():
    source = PythonLaunchDescriptionSource('{ROOT}/launch/multi.launch.py')
    names = ('params_file', 'processes')
    arguments = {{name: LaunchConfiguration(name) for name in names}}.items()
    return LaunchDescription([
        ExecuteProcess(cmd=['sleep', '1000']),
        IncludeLaunchDescription(source, launch_arguments=arguments),
    ])
"""
MULTI = """
/**: {{ros__parameters: {{backend: onnxruntime, model_path: '{model}'}}}}
/front/detector: {{ros__parameters: {{image_topics: [a]}}}}
rear: {{second: {{ros__parameters: {{image_topics: [b]}}}}}}
"""


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL} is missing: make it with demo/train.py')
@pytest.mark.parametrize(('processes', 'count'), [('separate', 2), ('one', 1)])
def test_multi_starts_a_detector_per_name(processes: str, count: int, tmp_path: Path) -> None:
    config = tmp_path / 'multi.yaml'
    config.write_text(MULTI.format(model=MODEL))
    arguments = (f'params_file:={config}', f'processes:={processes}')
    wanted = {
        'detecting in /front/a, publishing /front/detector/detections',
        'detecting in /rear/b, publishing /rear/second/detections',
    }
    with launch('multi.launch.py', *arguments) as process:
        text = ''
        for _ in wanted:
            text += read_until(process, 'detecting in ')
        assert all(sentence in text for sentence in wanted)
        assert text.count('process started with pid') == count
        output = stop(process)
    assert process.returncode == 0, output


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL} is missing: make it with demo/train.py')
def test_multi_in_one_process_ends_with_it(tmp_path: Path) -> None:
    config = tmp_path / 'multi.yaml'
    config.write_text(MULTI.format(model=MODEL))
    # With a second action that would keep the launch alive.
    around = tmp_path / 'robot.launch.py'
    around.write_text(AROUND)
    arguments = (f'params_file:={config}', 'processes:=one')
    with launch(around, *arguments) as process:
        text = read_until(process, 'detecting in ')
        (pid,) = re.findall(r'detector_node-\d\]: process started with pid \[(\d+)\]', text)
        os.kill(int(pid), signal.SIGKILL)
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 1, output
    assert re.search(r'detector_node-\d exited with code -9; see its log', output)


def test_transition_that_ctrl_c_cancels_is_no_error() -> None:
    from launch_ros.actions import LifecycleNode

    from launch import LaunchContext

    bring_up = runpy.run_path(str(ROOT / 'launch' / 'detector.launch.py'))['BringUp']
    node = LifecycleNode(package='trt_detector', executable='x', name='x', namespace='')
    context = LaunchContext()
    starting = bring_up(node, end_launch=True, autostart=False)
    with pytest.raises(RuntimeError, match='cannot be configured or activated'):
        starting._fail(context)
    context._set_is_shutdown(True)
    assert starting._fail(context) == []


def test_multi_refuses_a_file_without_names(tmp_path: Path) -> None:
    config = tmp_path / 'multi.yaml'
    config.write_text('/**: {ros__parameters: {}}\n')
    with launch('multi.launch.py', f'params_file:={config}') as process:
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert 'names no detector; expected keys as /front/detector' in output


def test_detections_3d_brings_itself_up_with_the_topics_of_the_arguments(tmp_path: Path) -> None:
    config = tmp_path / 'mine.yaml'
    config.write_text(
        '/**: {ros__parameters: {depth_topic: camera/depth, camera_info_topic: camera/info}}\n'
    )
    arguments = (
        f'params_file:={config}',
        'namespace:=robot',
        'detections:=eyes/detections',
        'camera_info:=/front/info',
    )
    with launch('detections_3d.launch.py', *arguments) as process:
        text = read_until(process, 'publishing /robot/detections_3d/detections')
        assert 'locating the detections of /robot/eyes/detections in /robot/camera/depth' in text
        text = read_until(process, '/front/info: no message for')
        output = stop(process)
    assert process.returncode == 0, output
    assert 'process has finished cleanly' in output


def test_detections_3d_ends_the_launch_with_an_error_if_its_process_is_killed() -> None:
    with launch('detections_3d.launch.py') as process:
        text = read_until(process, 'publishing /detections_3d/detections')
        (pid,) = re.findall(r'process started with pid \[(\d+)\]', text)
        os.kill(int(pid), signal.SIGKILL)
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 1, output
    assert 'detections_3d-1 exited with code -9; see its log' in output


@pytest.mark.parametrize(
    ('name', 'argument'),
    [
        ('multi.launch.py', 'respawn:=yes'),
        ('multi.launch.py', 'processes:=two'),
        ('detections_3d.launch.py', 'respawn:=yes'),
    ],
)
def test_wrong_switches_are_refused(name: str, argument: str) -> None:
    with launch(name, 'params_file:=no.yaml', argument) as process:
        output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert 'is not valid. Valid options are: [' in output
