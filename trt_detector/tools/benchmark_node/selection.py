# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Contenders and cameras that the options select."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ...errors import ConfigError
from .contender import check_command, Contender, DetectorNodes, OtherNode
from .parameters import collect_parameters, parse_pairs
from .report import LIMIT

__all__ = ['list_bare', 'list_camera_options', 'list_contenders', 'PACED']

PACED = 'bare model, paced'
"""Name of the bare network at the rate of the cameras."""

# Begin of what is no parameter in a variant.
_READERS = ('~/', 'http://')


def list_contenders(arguments: argparse.Namespace) -> list[Contender]:
    """
    List what is measured, the bare model apart.

    :raises ConfigError: if options contradict each other.
    """
    compressed = arguments.transport == 'compressed'
    parameters = collect_parameters(
        arguments.params_file, arguments.model, arguments.param, compressed=compressed
    )
    if max(arguments.nodes) > min(arguments.cameras):
        raise ConfigError(
            f'--nodes {max(arguments.nodes)} with --cameras {min(arguments.cameras)}: each node '
            'needs a camera'
        )
    contenders: list[Contender] = [
        DetectorNodes(
            'trt_detector' + (f', {nodes} nodes' if nodes > 1 else ''), parameters, nodes
        )
        for nodes in arguments.nodes
    ]
    for text in arguments.variant:
        items = text.split(';')
        readers = tuple(item for item in items if item.startswith(_READERS))
        pairs = [item for item in items if item not in readers]
        given = [*(f'{name}={value}' for name, value in parse_pairs(pairs).items()), *readers]
        changed = collect_parameters(
            arguments.params_file, arguments.model, [*arguments.param, *pairs],
            compressed=compressed,
        )  # fmt: skip
        name = f'trt_detector, {", ".join(given)}'
        contenders.append(DetectorNodes(name, changed, readers=readers))
    contenders += _list_others(arguments)
    names = [contender.name for contender in contenders]
    if len(set(names)) < len(names):
        raise ConfigError(f'two contenders have the same name: {", ".join(names)}')
    return contenders


def _list_others(arguments: argparse.Namespace) -> Iterator[OtherNode]:
    """
    Yield the nodes that commands of the user start.

    :raises ConfigError: if one has no topic, or cannot be started.
    """
    if len(arguments.against) != len(arguments.topic):
        raise ConfigError(
            f'{len(arguments.against)} times --against and {len(arguments.topic)} times --topic; '
            'name the topic of the detections of each'
        )
    for command, topic in zip(arguments.against, arguments.topic, strict=True):
        check_command(command)
        name = topic.strip('/').removesuffix('/detections').replace('{camera}', '').strip('/')
        yield OtherNode(name or topic, command, f'/{topic.lstrip("/")}')


def list_bare(arguments: argparse.Namespace) -> list[str]:
    """List the loops of the bare model; in a sweep only the limit is of use."""
    names = {'both': [LIMIT, PACED], 'limit': [LIMIT], 'paced': [PACED], 'none': []}
    return [name for name in names[arguments.bare] if name == LIMIT or not arguments.sweep]


def list_camera_options(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the options of play_images that the user has chosen."""
    if arguments.transport == 'compressed':
        options: tuple[str, ...] = ('--compressed',)
    else:
        options = ('--encoding', arguments.encoding)
    return (*options, '--reliable') if arguments.reliable else options
