# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the end of the thread that receives images."""

from __future__ import annotations

import threading

import rclpy
from rclpy.parameter import Parameter
from support.ros_graph import next_domain, StubFactory, WAIT_S, wait_until
from trt_detector.ros.node import DetectorNode


def test_context_that_is_shut_down_destroys_an_active_node() -> None:
    # No fixture ends this context: that would wait for the same lock if the test fails.
    context = rclpy.Context()
    rclpy.init(
        args=['--ros-args', '--log-level', 'error'], context=context, domain_id=next_domain()
    )
    node = DetectorNode(
        create=StubFactory(),
        context=context,
        parameter_overrides=[Parameter('model_path', value='stub.onnx')],
        use_global_arguments=False,
    )
    node.trigger_configure()
    node.trigger_activate()
    (images,) = [thread for thread in threading.enumerate() if thread.name == 'images']
    shutting_down = threading.Thread(target=context.shutdown, daemon=True)
    shutting_down.start()
    shutting_down.join(WAIT_S)
    assert not shutting_down.is_alive()
    wait_until(lambda: not images.is_alive(), 'the end of the thread')
    node.destroy_node()
