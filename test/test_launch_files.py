# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files, run where launch is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest
from support.ros_graph import MODEL, next_domain, ROOT

pytest.importorskip(
    'launch_ros',
    reason='launch and launch_ros are missing: they come with ROS 2 (ros-$ROS_DISTRO-launch-ros)',
)
ament_index = pytest.importorskip(
    'ament_index_python.packages', reason='ament_index_python is missing: source ROS 2'
)

RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [argument.split(':=') for argument in sys.argv[2:]]
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
def launch(name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a launch file in a process and a ROS domain of its own."""
    process = subprocess.Popen(
        [sys.executable, '-c', RUN, str(ROOT / 'launch' / name), *arguments],
        env={**os.environ, 'ROS_DOMAIN_ID': str(next_domain()), 'PYTHONUNBUFFERED': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
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
    """Interrupt the launch; return what it prints after that."""
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    return output


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL} is missing: make it with demo/train.py')
def test_detector_goes_to_active_and_empty_arguments_leave_the_file_alone(tmp_path: Path) -> None:
    config = tmp_path / 'mine.yaml'
    config.write_text(
        '/**: {ros__parameters: {backend: onnxruntime, image_topics: [front/image], '
        f"model_path: '{MODEL}'}}}}\n"
    )
    arguments = ('namespace:=robot', 'node_name:=eyes', f'params_file:={config}')
    with launch('detector.launch.py', *arguments) as process:
        read_until(process, 'detecting in /robot/front/image, publishing /robot/eyes/detections')
        output = stop(process)
    assert process.returncode == 0, output
    assert 'process has finished cleanly' in output


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
