# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Advise about arguments of ROS that it cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
import re

__all__ = ['find_stray_argument', 'find_wrong_rules']

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
