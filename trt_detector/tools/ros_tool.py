# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the tools that run a ROS node; they import rclpy only when they are called."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
import os
import sys
from typing import Any

from ..errors import ConfigError
from ..process.ros_arguments import (
    find_start_remedies,
    find_stray_argument,
    find_wrong_rules,
)
from .command_line import parse_arguments
from .standard_output import watch_output

__all__ = ['SOURCE_ROS', 'match_reliability', 'parse_ros_arguments', 'start_ros']

SOURCE_ROS = 'source /opt/ros/<distro>/setup.bash, or bringup/env.sh if there is no ROS 2'
"""Remedy if the Python modules of ROS 2 cannot be imported."""


def parse_ros_arguments(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> tuple[list[str], argparse.Namespace] | None:
    """
    Parse the arguments of a tool, ROS arguments apart; its help does not need ROS.

    Call it after :func:`..process.tuning.tune_process`.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: all arguments, for rclpy.init(), and the options; None, with a line on standard error,
        if ROS cannot be imported.
    """
    if argv is None:
        watch_output(parser.prog)
    arguments = list(sys.argv[1:] if argv is None else argv)
    if {'-h', '--help'} & set(arguments) or '_ARGCOMPLETE' in os.environ:
        parse_arguments(parser, ['--help'])
    try:
        from rclpy.utilities import remove_ros_args
    except ImportError as error:
        print(
            f'{parser.prog}: ROS 2 cannot be imported ({error}): {SOURCE_ROS}',
            file=sys.stderr,
        )
        return None
    try:
        own = remove_ros_args([parser.prog, *arguments])[1:]
    except RuntimeError as error:  # RCLError derives from it
        parser.error('; '.join([str(error), *find_wrong_rules(arguments)]))
    if stray := find_stray_argument(own):
        parser.error(stray)
    return arguments, parser.parse_args(own)


def start_ros(arguments: Sequence[str] = (), context: Any = None) -> None:
    """
    Initialize rclpy without its signal handlers.

    :param arguments: command line of :func:`parse_ros_arguments`.
    :param context: of rclpy; None for the default one.
    :raises ConfigError: if ROS cannot be started, with the remedy.
    """
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    try:
        rclpy.init(
            args=list(arguments), context=context, signal_handler_options=SignalHandlerOptions.NO
        )
    except RuntimeError as error:  # RCLError derives from it
        sentences = [str(error), *find_start_remedies(str(error))]
        raise ConfigError(f'ROS 2 cannot be started: {"; ".join(sentences)}') from error


def match_reliability(publishers: Iterable[Any]) -> Any:
    """
    Choose the reliability of a subscription, as the node does with qos_reliability auto.

    :param publishers: rclpy's information about the publishers of the topic.
    :return: an rclpy.qos.ReliabilityPolicy.
    """
    from rclpy.qos import ReliabilityPolicy

    policies = {info.qos_profile.reliability for info in publishers}
    if policies == {ReliabilityPolicy.RELIABLE}:
        return ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.BEST_EFFORT
