# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Timers that do not follow the clock of the node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType

__all__ = ['create_steady_timer']


def create_steady_timer(node: Any, period_s: float, callback: Callable[[], object]) -> Any:
    """
    Create a timer of a node that simulated time and other callbacks cannot stop.

    It has the steady clock, and a callback group of its own.

    :param node: its executor runs the callback.
    :param period_s: seconds between two calls.
    :return: the rclpy timer.
    """
    return node.create_timer(
        period_s,
        callback,
        callback_group=MutuallyExclusiveCallbackGroup(),
        clock=Clock(clock_type=ClockType.STEADY_TIME),
    )
