# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the executable, alone and behind the detector node with rendered scenes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 here: source it, or run bringup/prepare.sh')

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from scenes import DepthScene, render_depth, render_scene
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage
from splits import TEST_SEEDS
from support.depth_graph import make_depth, set_stamp
from support.depth_messages import camera_info
from support.ros_graph import MODEL, next_domain, node_process, output_at_end
from trt_detector.ros.messages import make_image
from vision_msgs.msg import Detection3DArray

PROGRAM = 'import sys; from trt_detector.ros.depth.main import main; sys.exit(main(sys.argv[1:]))'
SIZE_WH = (640, 480)
SCENES = 12
TOPICS = ('-p', 'depth_topic:=depth', '-p', 'camera_info_topic:=info', '-p', 'autostart:=true')


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-c', PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_help_lists_every_parameter() -> None:
    finished = run_program('--help')
    assert finished.returncode == 0
    assert 'usage: detections_3d' in finished.stdout
    for name in ('sync_tolerance (number)', 'target_frame (string)', 'min_valid_share'):
        assert name in finished.stdout


def test_wrong_arguments_end_the_program_with_words() -> None:
    assert run_program('--nonsense').returncode == 2
    finished = run_program('--ros-args', '-p', 'autostart:=maybe')
    assert finished.returncode == 1
    assert "cannot start: autostart is 'maybe'" in finished.stderr


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_active_node(number: signal.Signals) -> None:
    arguments = ('--ros-args', *TOPICS)
    with node_process(*arguments, domain=next_domain(), code=PROGRAM) as process:
        assert process.stdout is not None
        text = ''
        while 'locating the detections of' not in text:
            line = process.stdout.readline()
            assert line, text
            text += line
        process.send_signal(number)
        output = output_at_end(process)
    assert process.returncode == 0, output
    assert 'Traceback' not in text + output


def test_unknown_parameters_and_files_for_other_nodes_are_named(tmp_path: Any) -> None:
    file = tmp_path / 'other.yaml'
    file.write_text('/detector: {ros__parameters: {depth_topic: x}}\n')
    arguments = ('--ros-args', '--params-file', str(file), '-p', 'dept_topic:=x')
    with node_process(*arguments, domain=next_domain(), code=PROGRAM) as process:
        assert process.stdout is not None
        text = ''
        while 'unconfigured, doing nothing' not in text:
            line = process.stdout.readline()
            assert line, text
            text += line
        process.send_signal(signal.SIGINT)
        output_at_end(process)
    assert (
        "parameter 'dept_topic' is unknown and has no effect; did you mean 'depth_topic'" in text
    )
    assert 'has parameters for /detector, but this node is /detections_3d' in text


class Camera:
    """
    Camera in this process that shows rendered scenes, with its depth image and CameraInfo.

    :param context: initialized context.
    """

    def __init__(self, context: Any) -> None:
        self.node = rclpy.create_node('camera', context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.image = self.node.create_publisher(ImageMessage, 'image_raw', 5)
        self.depth = self.node.create_publisher(ImageMessage, 'depth', 5)
        self.info = self.node.create_publisher(CameraInfo, 'info', latched)
        self.output: list[Any] = []
        self.node.create_subscription(
            Detection3DArray, '/detections_3d/detections', self.output.append, 10
        )

    def publish(self, scene: DepthScene, picture: Any, stamp_s: float) -> None:
        fields = camera_info(*SIZE_WH, scene.focal_px)
        names = ('width', 'height', 'distortion_model', 'd', 'k', 'r', 'p')
        info = CameraInfo(**{name: getattr(fields, name) for name in names})
        self.info.publish(set_stamp(info, stamp_s))
        self.depth.publish(make_depth(stamp_s, np.where(scene.depth_m < 60, scene.depth_m, 0)))
        image = make_image(set_stamp(ImageMessage(), stamp_s).header, picture)
        self.image.publish(image)

    def show(self, scene: DepthScene, picture: Any, stamp_s: float) -> Any:
        """Publish a scene until its detections come; return them."""
        for attempt in range(200):
            self.publish(scene, picture, stamp_s + attempt)
            deadline_s = time.monotonic() + 1.0
            while not (found := self._find(stamp_s + attempt)) and time.monotonic() < deadline_s:
                self._executor.spin_once(timeout_sec=0.1)
            # The CameraInfo has to be there before the images.
            if found and attempt >= 5:
                return found
        raise AssertionError('no 3D detections came')

    def _find(self, stamp_s: float) -> Any:
        """Return the message with a stamp, None if it has not come."""
        return next((each for each in self.output if each.header.stamp.sec == stamp_s), None)


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL} is missing: make it with demo/train.py')
def test_detector_and_depth_locate_the_objects_of_rendered_scenes() -> None:
    """Compare the positions of what the demo model detects with the truth of the scenes."""
    domain = next_domain()
    detector = ('--ros-args', '-p', f'model_path:={MODEL}', '-p', 'backend:=onnxruntime',
                '-p', 'autostart:=true', '-p', 'score_threshold:=0.5')  # fmt: skip
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    errors = []
    with (
        node_process(*detector, domain=domain),
        node_process('--ros-args', *TOPICS, domain=domain, code=PROGRAM),
    ):
        camera = Camera(context)
        for number, seed in enumerate(TEST_SEEDS[:SCENES], start=1):
            scene = render_depth(seed, SIZE_WH)
            picture = render_scene(seed, SIZE_WH).image_bgr
            message = camera.show(scene, picture, 1000.0 * number)
            assert message.header.frame_id == 'lens'
            for detection in message.detections:
                name = detection.results[0].hypothesis.class_id
                position = detection.bbox.center.position
                found = np.array([position.x, position.y, position.z])
                gaps = [
                    np.linalg.norm(found - thing.center_xyz) / np.linalg.norm(thing.center_xyz)
                    for thing in scene.objects
                    if thing.class_name == name and thing.visible_fraction > 0.5
                ]
                if gaps and min(gaps) < 0.3:
                    errors.append(min(gaps))
        camera.node.destroy_node()
    rclpy.shutdown(context=context)
    assert len(errors) >= 25
    assert np.median(errors) < 0.02, sorted(errors)
