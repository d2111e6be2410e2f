# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Advise about arguments and environment variables that ROS cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
import os
import re

__all__ = ['find_start_remedies', 'find_stray_argument', 'find_wrong_rules']

_PARAMETER = ('-p', '--param')
_REMAP = ('-r', '--remap')
_OTHER = ('--params-file', '--log-level')
_NODE_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')


def find_stray_argument(arguments: Sequence[str]) -> str:
    """
    Write a sentence about an argument of ROS that is not behind --ros-args.

    :param arguments: command line without the arguments that ROS takes.
    :return: the sentence; '' if there is none.
    """
    for argument in arguments:
        if argument in (*_PARAMETER, *_REMAP, *_OTHER):
            return f'{argument} is an argument of ROS: write --ros-args before it'
        if ':=' in argument:
            return f'{argument} is no name of a node: write --ros-args -p {argument}'
    return ''


def find_wrong_rules(arguments: Sequence[str]) -> list[str]:
    """
    Write a sentence about every rule that ROS cannot read, with the remedy.

    :param arguments: command line that ROS could not parse.
    """
    return [
        f'{option} {rule}: {remedy}'
        for option, rule in pairwise(arguments)
        if option in (*_PARAMETER, *_REMAP) and (remedy := _check_rule(option, rule))
    ]


def find_start_remedies(error: str) -> list[str]:
    """
    Write how to correct what keeps ROS from starting.

    :param error: of rclpy.init().
    """
    remedies = []
    # rcl creates the folder of the log files before anything else.
    if 'initialize logging' in error:
        remedies.append(
            'set ROS_LOG_DIR to a folder that can be written, or HOME if it is not set'
        )
    if 'ROS_DOMAIN_ID' in error:
        value = os.environ.get('ROS_DOMAIN_ID')
        remedies.append(f'ROS_DOMAIN_ID is {value!r}; set it to a number from 0 to 101')
    return remedies


def _check_rule(option: str, rule: str) -> str:
    """Write how to correct a rule; '' if nothing is known to be wrong with it."""
    name, separator, value = rule.partition(':=')
    if not separator:
        return 'write NAME:=VALUE, with a colon before the ='
    if option in _PARAMETER:
        return ''
    if name.endswith('__ns') and not value.startswith('/'):
        return f'a namespace starts with /, e.g. {name}:=/{value or "robot"}'
    if name.endswith('__node') and not _NODE_NAME.fullmatch(value):
        return 'the name of a node has letters of ASCII, digits and _ only, and no digit first'
    return ''
