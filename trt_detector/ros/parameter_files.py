# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Find parameter files that do not match the node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
import re
from typing import Any

from ..errors import ModelError
from ..model_info.text_files import read_text, read_yaml

__all__ = ['find_unmatched_files', 'find_unreadable_lists', 'find_wrong_layouts']

_OPTION = '--params-file'
_RULES = ('-p', '--param')
_PARAMETERS = 'ros__parameters'
# Item of a list in brackets like 2:0.3 or car:vehicle, which the YAML parser of ROS does not read.
_UNQUOTED_PAIR = re.compile(r'(?<=[\[,])\s*([\w ]+:[\w.]+)\s*(?=[,\]])')
# Commas end the items of a list in brackets.
_UNQUOTED_REGION = re.compile(r'\[\s*(?:[^\s\'"\]]+:\s*)?(?:include|exclude)\s')
_NUMBERS = re.compile(r'\[([-+\d.,\s]+)\]')


def find_unmatched_files(arguments: Sequence[str], *node_names: str) -> list[str]:
    """
    Write a sentence about every parameter file none of whose keys matches a node.

    :param arguments: command line.
    :param node_names: full names of the nodes of this process, after remapping.
    """
    sentences = []
    for option, file in pairwise(arguments):
        if option != _OPTION:
            continue
        names = list(_list_names(_read(file)))
        if names and not any(_matches(name, node) for name in names for node in node_names):
            own = ' or '.join(node_names)
            sentences.append(
                f'{file} has parameters for {", ".join(sorted(set(names)))}, but this node is '
                f'{own}: none of them is used; rename the key in the file to {own} or '
                '/**'
            )
    return sentences


def find_unreadable_lists(arguments: Sequence[str]) -> list[str]:
    """
    Write a sentence about every list in brackets that only other YAML parsers read.

    :param arguments: command line, whose parameters or parameter files ROS could not parse.
    """
    sentences = []
    for option, value in pairwise(arguments):
        if option in _RULES and (remedy := _find_remedy(value.partition(':=')[2])):
            sentences.append(
                f'{option} {value}: {remedy}; the shell needs double quotes around the whole'
            )
        if option == _OPTION:
            for number, line in enumerate(_read_text(value).splitlines(), start=1):
                if remedy := _find_remedy(line.partition('#')[0]):
                    sentences.append(f'{value}, line {number}: {remedy}')
    return sentences


def find_wrong_layouts(arguments: Sequence[str]) -> list[str]:
    """
    Write a sentence about every parameter file that is not laid out as ROS expects.

    :param arguments: command line, whose parameter files ROS could not parse.
    """
    return [
        f'{file}: {remedy}'
        for option, file in pairwise(arguments)
        if option == _OPTION and (remedy := _check_layout(file))
    ]


def _check_layout(file: str) -> str:
    """Write how to lay out a parameter file; '' if nothing is known to be wrong with it."""
    for number, line in enumerate(_read_text(file).splitlines(), start=1):
        if line[: len(line) - len(line.lstrip())].count('\t'):
            return f'line {number} begins with a tab: indent with spaces, YAML allows no tabs'
    tree = _read(file)
    if not isinstance(tree, dict):
        return ''
    empty = [name for name, values in _list_parameters(tree) if values is None]
    if empty:
        return (
            f'{_PARAMETERS} of {", ".join(empty)} is empty: write "{_PARAMETERS}: {{}}", or a '
            'parameter below it, indented further'
        )
    if not list(_list_names(tree)):
        return (
            f'it has no {_PARAMETERS}: write "/**:", below it "  {_PARAMETERS}:", below that '
            '"    NAME: VALUE" of each parameter'
        )
    return ''


def _find_remedy(line: str) -> str:
    """Write how to correct a line; '' if nothing is known to be wrong with it."""
    if match := _UNQUOTED_PAIR.search(line):
        return f"write '{match[1]}' in quotes, not {match[1]}"
    if _UNQUOTED_REGION.search(line):
        return "write each region in quotes, e.g. ['include 0,0 1,0 1,1']"
    if match := _NUMBERS.search(line):
        numbers = [number.strip() for number in match[1].split(',')]
        whole = [number for number in numbers if number and '.' not in number]
        if 0 < len(whole) < len(numbers):
            return f'write all numbers of a list with a point, e.g. {whole[0]}.0 for {whole[0]}'
    return ''


def _read_text(file: str) -> str:
    """Read a text file; '' if that fails, which rcl reports."""
    try:
        return read_text(Path(file))
    except ModelError:
        return ''


def _read(file: str) -> Any:
    """Read a YAML file; one that cannot be read was reported by rcl already."""
    try:
        return read_yaml(Path(file))[0]
    except ModelError:
        return None


def _list_names(tree: Any) -> Iterator[str]:
    """Yield the full name of every node with parameters."""
    for name, _ in _list_parameters(tree):
        yield name


def _list_parameters(tree: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the full name of every node and its parameters; namespaces may be nested keys."""
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        name = f'{prefix}/{str(key).strip("/")}'
        if isinstance(value, dict) and _PARAMETERS in value:
            yield name, value[_PARAMETERS]
        if key != _PARAMETERS:
            yield from _list_parameters(value, name)


def _matches(pattern: str, node_name: str) -> bool:
    """Match a key, in which * stands for one part of a name and ** for any number of parts."""
    expression = ''
    for part in pattern.strip('/').split('/'):
        if part == '**':
            expression += '(/[^/]+)*'
        elif part == '*':
            expression += '/[^/]+'
        else:
            expression += f'/{re.escape(part)}'
    return re.fullmatch(expression, node_name) is not None
