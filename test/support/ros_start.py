# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Start of ROS with arguments that it can read, or refuses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from .ros_graph import next_domain, rclpy


def check_that_ros_reads(arguments: Sequence[str]) -> None:
    """Start and end ROS; an error of rclpy is raised."""
    context = rclpy.Context()
    rclpy.init(args=list(arguments), context=context, domain_id=next_domain())
    rclpy.try_shutdown(context=context)


def read_refusal(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Start the node with arguments that ROS refuses; return the sentence of the error."""
    from trt_detector.ros import main as main_module

    assert main_module.main(list(arguments)) == 1
    message = capsys.readouterr().err
    assert 'cannot start: ' in message
    return message
