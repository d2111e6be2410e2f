# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle node, the only part of the package that needs rclpy."""

from __future__ import annotations

import signal

__all__ = ['run_detections_3d', 'run_node']


def run_node() -> int:
    """
    Import and run :func:`trt_detector.ros.main.main`, the entry point of detector_node.

    A KeyboardInterrupt during an import can be lost, because Python ignores exceptions in some of
    the callbacks there. With the default action, SIGINT ends the process until then.

    :return: exit code.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .main import main

    return main()


def run_detections_3d() -> int:
    """
    Import and run :func:`trt_detector.ros.depth.main.main`, the entry point of detections_3d.

    :return: exit code.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .depth.main import main

    return main()
