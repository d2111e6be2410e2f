# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the executable in a separate process: signals, arguments, detections over DDS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import cv2
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from sensor_msgs.msg import Image as ImageMessage
from support.models import slow_detector
from support.ros_graph import MODEL, next_domain, node_process, output_at_end, PICTURES, wait_until
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.tools.play_images.encode import encode_picture, ENCODINGS
from vision_msgs.msg import Detection2DArray

SLOW_NODE = """
import sys, time
from trt_detector.errors import BuildCancelledError
import trt_detector.ros.main as main_module
from trt_detector.ros.node import DetectorNode

def create(config, *, cancel, **_):
    print('building', flush=True)
    cancel.wait()
    raise BuildCancelledError('cancelled')

main_module.DetectorNode = lambda name: DetectorNode(name, create=create)
sys.exit(main_module.main(sys.argv[1:]))
"""

WARMING_NODE = """
import sys
import onnxruntime
import trt_detector.ros.main as main_module

run = onnxruntime.InferenceSession.run

def say_and_run(*arguments):
    print('running', flush=True)
    return run(*arguments)

onnxruntime.InferenceSession.run = say_and_run
sys.exit(main_module.main(sys.argv[1:]))
"""

HANGING_NODE = """
import sys, threading
import trt_detector.ros.main as main_module
from trt_detector.ros.node import DetectorNode

def create(config, **_):
    print('building', flush=True)
    threading.Event().wait()

class Node(DetectorNode):
    def __init__(self, name):
        super().__init__(name, create=create)

    def finalize(self):
        return super().finalize(timeout_s=1.0)

main_module.DetectorNode = Node
sys.exit(main_module.main(sys.argv[1:]))
"""


@pytest.fixture(scope='module')
def reference() -> Iterator[Any]:
    """Provide the detector without ROS, as the node makes it."""
    if not MODEL.is_file():
        pytest.skip(f'{MODEL} is missing: make it with demo/train.py')
    with create_detector(DetectorConfig(model_path=str(MODEL), backend='onnxruntime')) as detector:
        yield detector


@contextmanager
def client(domain: int) -> Iterator[Any]:
    """Spin a node in a thread."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node('client', context=context, use_global_arguments=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    ended = Future()
    thread = threading.Thread(target=executor.spin_until_future_complete, args=(ended,))
    thread.start()
    try:
        yield node
    finally:
        ended.set_result(None)
        thread.join()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def change_state(node: Any, transition: int) -> bool:
    """Take the node through a transition."""
    service = node.create_client(ChangeState, '/detector/change_state')
    # Made second, so that the node knows both once this one is answered: the answer to a client
    # that a server does not know yet is lost.
    probe = node.create_client(GetState, '/detector/get_state')
    wait_until(service.service_is_ready, 'the service', 60)
    wait_until(probe.service_is_ready, 'the service', 60)
    asked = []

    def is_answered() -> bool:
        if len(asked) < 80:
            asked.append(probe.call_async(GetState.Request()))
        time.sleep(0.05)
        return any(future.done() for future in asked)

    wait_until(is_answered, 'the state of the node', 60)
    future = service.call_async(ChangeState.Request(transition=Transition(id=transition)))
    wait_until(future.done, 'the transition', 60)
    node.destroy_client(service)
    node.destroy_client(probe)
    return bool(future.result().success)


def names_of(node: Any) -> list[tuple[str, str]]:
    """Return name and namespace of the nodes in the graph."""
    return list(node.get_node_names_and_namespaces())


def parameters(**values: Any) -> list[str]:
    """Return command line arguments for parameters."""
    pairs = [('-p', f'{name}:={json.dumps(value)}') for name, value in values.items()]
    return ['--ros-args', *(argument for pair in pairs for argument in pair)]


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the output of a process up to the line that holds a text; return that line."""
    return read_through(process, text).splitlines()[-1]


def read_through(process: subprocess.Popen[str], text: str) -> str:
    """Read the output of a process up to the line that holds a text, that line included."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return ''.join(lines)
    pytest.fail(f'{text!r} was not written:\n{"".join(lines)}')


class Listener:
    """
    A camera and a listener of a node in another process.

    :param node: of the client.
    """

    def __init__(self, node: Any) -> None:
        self.arrays: list[Any] = []
        node.create_subscription(Detection2DArray, '/detector/detections', self.arrays.append, 10)
        self._publisher = node.create_publisher(
            ImageMessage, '/image_raw', qos_profile_sensor_data
        )
        self._node = node

    def detect(self, message: Any, number: int) -> Any:
        """Return the array for one image."""
        wait_until(self._publisher.get_subscription_count, 'the subscription of the node', 60)
        wait_until(lambda: self._node.count_publishers('/detector/detections'), 'the node', 60)
        message.header.stamp.sec, message.header.stamp.nanosec = number, 123456789
        message.header.frame_id = f'camera{number}'

        def send_and_look() -> Any:
            # Best effort: what was sent before both ends knew each other is lost.
            self._publisher.publish(message)
            deadline = 100
            while deadline and not self._find(number):
                deadline -= 1
                time.sleep(0.01)
            return self._find(number)

        return wait_until(send_and_look, f'the array of image {number}', 60)

    def _find(self, number: int) -> Any:
        found = [array for array in self.arrays if array.header.stamp.sec == number]
        return found[0] if found else None


def message_of(
    picture: np.ndarray, encoding: str = 'bgr8', *, padding: int = 0, big_endian: bool = False
) -> Any:
    """
    Return a picture as a message.

    :param padding: bytes behind each row, none of them zero.
    :param big_endian: swap the bytes of 16-bit values.
    """
    encoded = encode_picture(picture, encoding)
    rows = np.frombuffer(encoded.data, np.uint8).reshape(-1, encoded.step)
    if big_endian:
        rows = rows.view('<u2').byteswap().view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    return ImageMessage(
        width=encoded.width,
        height=encoded.height,
        encoding=encoded.encoding,
        step=encoded.step + padding,
        is_bigendian=big_endian,
        data=rows.tobytes(),
    )


def boxes_of(array: Any) -> list[tuple[str, float, np.ndarray]]:
    """Return class, score and left, top, right, bottom of each detection."""
    rows = []
    for detection in array.detections:
        center, box = detection.bbox.center.position, detection.bbox
        half = np.array([box.size_x, box.size_y]) / 2
        middle = np.array([center.x, center.y])
        hypothesis = detection.results[0].hypothesis
        corners = np.concatenate((middle - half, middle + half))
        rows.append((hypothesis.class_id, hypothesis.score, corners))
    return rows


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return intersection over union of two boxes."""
    size = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    inside = float(size[0] * size[1])
    areas = [float((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b)]
    return inside / (sum(areas) - inside)


@pytest.fixture(scope='module')
def listener(reference: Any) -> Iterator[Listener]:
    """Run the node with the model of the demonstration, active."""
    domain = next_domain()
    arguments = parameters(model_path=str(MODEL), backend='onnxruntime', autostart=True)
    with node_process(*arguments, domain=domain), client(domain) as node:
        yield Listener(node)


def test_header_and_boxes_of_real_pictures(listener: Listener) -> None:
    truth = json.loads((PICTURES / 'ground_truth.json').read_text(encoding='utf-8'))
    names = {category['id']: category['name'] for category in truth['categories']}
    large = 0
    hit = 0
    for number, entry in enumerate(truth['images'], start=1):
        picture = Image.from_file(PICTURES / entry['file_name']).to_bgr()
        array = listener.detect(message_of(picture), number)
        assert (array.header.stamp.sec, array.header.stamp.nanosec) == (number, 123456789)
        assert array.header.frame_id == f'camera{number}'
        found = boxes_of(array)
        for wanted in truth['annotations']:
            x, y, width, height = wanted['bbox']
            # Small and hidden objects test the model, not the node.
            if wanted['image_id'] != entry['id'] or width * height < 0.01 * picture.size / 3:
                continue
            box = np.array([x, y, x + width, y + height])
            kind = names[wanted['category_id']]
            large += 1
            hit += any(k == kind and overlap(b, box) >= 0.5 for k, _, b in found)
    assert large >= 20
    assert hit / large >= 0.85, f'{hit} of {large}'


@pytest.mark.parametrize('size', [(1280, 720), (375, 500), (4000, 3000)])
def test_boxes_are_in_pixels_of_the_image(
    reference: Any, listener: Listener, size: tuple[int, int]
) -> None:
    path = min(PICTURES.glob('*1280x720*'))
    picture = cv2.resize(Image.from_file(path).to_bgr(), size)
    expected = reference.detect([Image.from_array(picture)]).detections[0]
    assert len(expected), 'the picture has to show something'
    found = boxes_of(listener.detect(message_of(picture), 1000 + size[0]))
    assert [kind for kind, _, _ in found] == [
        reference.class_names[number] for number in expected.class_ids
    ]
    for (_, score, box), wanted, wanted_score in zip(
        found, expected.boxes_xyxy, expected.scores, strict=True
    ):
        assert np.abs(box - wanted).max() <= 1.0
        assert score == pytest.approx(float(wanted_score), abs=1e-3)


def test_every_encoding_gives_the_same_detections(listener: Listener) -> None:
    # Enlarged: what a mosaic or shared color loses is finer than the network sees.
    path = min(PICTURES.glob('*640x480*'))
    picture = cv2.resize(Image.from_file(path).to_bgr(), None, fx=2, fy=2)
    gray = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    wanted = {
        False: confident(listener.detect(message_of(picture), 6001)),
        True: confident(listener.detect(message_of(gray), 6002)),
    }
    assert all(wanted.values()), 'the pictures have to show something'
    for number, (encoding, layout) in enumerate(message_layouts(), start=6003):
        message = message_of(picture, encoding, **layout)
        found = boxes_of(listener.detect(message, number))
        for kind, box in wanted[encoding in ('mono8', 'mono16', '8UC1')]:
            distances = [np.abs(b - box).max() for k, _, b in found if k == kind]
            assert min(distances, default=np.inf) <= 2.0, f'{encoding} {layout}: {kind} {box}'


def message_layouts() -> list[tuple[str, dict[str, Any]]]:
    """List every encoding, packed and with padded rows, and 16 bits in both byte orders."""
    layouts: list[tuple[str, dict[str, Any]]] = []
    for encoding in ENCODINGS:
        layouts += [(encoding, {}), (encoding, {'padding': 24})]
        if encoding.endswith('16'):
            layouts.append((encoding, {'padding': 24, 'big_endian': True}))
    return layouts


def confident(array: Any) -> list[tuple[str, np.ndarray]]:
    """Select the detections that little noise does not take below the threshold."""
    return [(kind, box) for kind, score, box in boxes_of(array) if score > 0.5]


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'active', 'finalized'])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_in_any_state_ends_the_process_cleanly(
    reference: Any, state: str, number: signal.Signals
) -> None:
    domain = next_domain()
    arguments = parameters(model_path=str(MODEL), backend='onnxruntime')
    steps = {
        'unconfigured': [],
        'inactive': [Transition.TRANSITION_CONFIGURE],
        'active': [Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE],
        'finalized': [Transition.TRANSITION_UNCONFIGURED_SHUTDOWN],
    }[state]
    with node_process(*arguments, domain=domain) as process:
        with client(domain) as node:
            wait_until(lambda: ('detector', '/') in names_of(node), 'the node', 60)
            for step in steps:
                assert change_state(node, step)
        process.send_signal(number)
        process.send_signal(number)
        output = output_at_end(process)
    assert process.returncode == 0, output
    assert 'Traceback' not in output


def test_several_nodes_share_a_process(tmp_path: Path) -> None:
    path = tmp_path / 'two.yaml'
    values = f"backend: onnxruntime, model_path: '{MODEL}', autostart: true"
    path.write_text(
        f'/**: {{ros__parameters: {{{values}}}}}\n'
        '/front/eyes: {ros__parameters: {image_topics: [a]}}\n'
    )
    domain = next_domain()
    arguments = ('/front/eyes', 'detector', 'other', '--ros-args', '--params-file', str(path))
    with node_process(*arguments, domain=domain) as process, client(domain) as node:
        text = ''.join(read_through(process, 'detecting in ') for _ in range(3))
        for topic in ('/front/a', '/image_raw'):
            wait_until(lambda topic=topic: node.get_subscriptions_info_by_topic(topic), topic)
        (shared,) = node.get_subscriptions_info_by_topic('/image_raw')
        process.send_signal(signal.SIGINT)
        output = output_at_end(process)
    assert process.returncode == 0, output
    assert shared.node_name == f'_trt_detector_images_{process.pid}'
    assert text.count('shared by 2 detectors of this process') == 1
    assert 'detecting in /front/a, publishing /front/eyes/detections' in text
    assert 'detecting in /image_raw, publishing /detector/detections' in text
    assert output.count('stopping') == 3


def test_signal_during_configure_cancels_the_build() -> None:
    arguments = parameters(model_path='any.onnx', autostart=True)
    with node_process(*arguments, domain=next_domain(), code=SLOW_NODE) as process:
        read_until(process, 'building')
        process.send_signal(signal.SIGINT)
        output = output_at_end(process)
    assert process.returncode == 0, output
    assert 'Traceback' not in output


def test_signal_during_a_long_warm_up_ends_the_process_cleanly(tmp_path: Path) -> None:
    model = slow_detector(tmp_path / 'slow.onnx')
    arguments = parameters(model_path=str(model), backend='onnxruntime', autostart=True)
    with node_process(*arguments, domain=next_domain(), code=WARMING_NODE) as process:
        read_until(process, 'running')
        process.send_signal(signal.SIGINT)
        output = output_at_end(process)
    assert process.returncode == 0, output
    assert 'the warm-up was cancelled' in output
    assert 'autostart failed' not in output


def test_process_with_a_hanging_driver_call_exits_with_an_error() -> None:
    arguments = parameters(model_path='any.onnx', autostart=True)
    with node_process(*arguments, domain=next_domain(), code=HANGING_NODE) as process:
        read_until(process, 'building')
        process.send_signal(signal.SIGINT)
        output = output_at_end(process)
    assert process.returncode == 3, output
    assert 'a driver call hangs' in output


def test_parameter_file_of_the_package_is_read(tmp_path: Path) -> None:
    domain, path = next_domain(), tmp_path / 'detector.yaml'
    text = (MODEL.parents[2] / 'config' / 'detector.yaml').read_text()
    assert text.count(' score_threshold: 0.25') == 1
    path.write_text(text.replace(' score_threshold: 0.25', ' score_threshold: 0.375'))
    with node_process('--ros-args', '--params-file', str(path), domain=domain) as process:
        with client(domain) as node:
            service = node.create_client(GetParameters, '/detector/get_parameters')
            assert service.wait_for_service(60)
            asked = []

            def answers() -> list[float]:
                # The answer to a client that the server does not know yet is lost.
                asked.append(service.call_async(GetParameters.Request(names=['score_threshold'])))
                time.sleep(0.2)
                return [done.result().values[0].double_value for done in asked if done.done()]

            assert wait_until(answers, 'the value of a parameter', 60)[0] == 0.375
        process.send_signal(signal.SIGINT)
        output = output_at_end(process)
    assert process.returncode == 0, output
    assert 'Traceback' not in output


def test_parameter_file_for_another_node_is_reported(tmp_path: Path) -> None:
    file = tmp_path / 'other.yaml'
    file.write_text('/ns/detector: {ros__parameters: {score_threshold: 0.5}}\n')
    arguments = ('--ros-args', '--params-file', str(file))
    with node_process(*arguments, domain=next_domain()) as process:
        read_until(process, 'has parameters for /ns/detector, but this node is /detector')
        process.send_signal(signal.SIGINT)
        assert 'Traceback' not in output_at_end(process)


def test_autostart_of_a_wrong_type_ends_the_process() -> None:
    with node_process(*parameters(autostart='true'), domain=next_domain()) as process:
        output = output_at_end(process)
    assert process.returncode == 1
    assert "cannot start: autostart is 'true'; expected true or false" in output


@pytest.mark.parametrize('values', [{'HOME': None}, {'ROS_LOG_DIR': '/proc/none'}])
def test_folder_of_log_files_that_cannot_be_made_is_reported(values: dict[str, Any]) -> None:
    """Start as in a container without a home folder, or with a read-only file system."""
    environment = {name: value for name, value in os.environ.items() if name != 'ROS_LOG_DIR'}
    environment = {k: v for k, v in {**environment, **values}.items() if v is not None}
    finished = subprocess.run(
        [sys.executable, '-m', 'trt_detector.ros.main'],
        cwd=MODEL.parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert 'set ROS_LOG_DIR to a folder that can be written' in finished.stderr
    assert 'Traceback' not in finished.stderr


def test_invalid_arguments_are_reported_in_one_line() -> None:
    command = [sys.executable, '-m', 'trt_detector.ros.main', '--ros-args', '--params-file', '/no']
    finished = subprocess.run(
        command, cwd=MODEL.parents[2], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith('detector_node: cannot start: ')
    assert 'Traceback' not in finished.stderr


@pytest.mark.parametrize(
    ('arguments', 'name'),
    [
        (['a', '/b/a', 'a'], '/a'),
        (['/a/b', '/c/b', '--ros-args', '-r', '__ns:=/robot'], '/robot/b'),
    ],
)
def test_nodes_of_one_name_are_refused(arguments: list[str], name: str) -> None:
    finished = subprocess.run(
        [sys.executable, '-m', 'trt_detector.ros.main', *arguments],
        cwd=MODEL.parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 1
    assert f'cannot start: 2 nodes of this process have the name {name}; give' in finished.stderr
    assert 'Traceback' not in finished.stderr
