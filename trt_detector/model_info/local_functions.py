# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Local functions of an ONNX file, which exporters of PyTorch write in place of operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ModelError
from .graph import all_nodes

__all__ = ['inline_functions']

# Functions that call each other can stand for exponentially many nodes.
_MOST_NODES = 200_000

_Key = tuple[str, str]


def inline_functions(model: Any) -> Any:
    """
    Replace the calls of a model's own functions by their operators, to read what they do.

    :param model: ModelProto; it is not changed.
    :return: the model itself if it has no functions, or they cannot be inlined: then only the
        runtime can say what is wrong with them, and does.
    :raises ModelError: if this version of onnx cannot inline functions.
    """
    if not model.functions or not _is_small(model):
        return model
    try:
        from onnx import inliner
    except ImportError as error:
        raise ModelError(
            f'the model has {len(model.functions)} local functions, which onnx reads from 1.16 '
            'on: update onnx, or export the model without them'
        ) from error
    try:
        return inliner.inline_local_functions(model)
    except Exception:  # noqa: BLE001 - onnx raises its own and C++ errors for damaged graphs
        return model


def _is_small(model: Any) -> bool:
    """Tell whether a model is not too large without its functions, none of which calls itself."""
    functions = {(one.domain, one.name): one for one in model.functions}
    sizes: dict[_Key, int] = {}
    waiting = list(functions)
    for _ in range(len(functions) + 1):
        # A function is counted after those that it calls.
        for key in waiting:
            if _calls(functions[key], functions) <= sizes.keys():
                sizes[key] = _count(functions[key], sizes)
        waiting = [key for key in waiting if key not in sizes]
        if not waiting:
            break
    return not waiting and _count(model.graph, sizes) <= _MOST_NODES


def _calls(function: Any, functions: Mapping[_Key, Any]) -> set[_Key]:
    """List the functions that a function calls."""
    return {(node.domain, node.op_type) for node in all_nodes(function)} & functions.keys()


def _count(graph: Any, sizes: Mapping[_Key, int]) -> int:
    """Count the nodes of a graph or function without its calls."""
    return sum(sizes.get((node.domain, node.op_type), 1) for node in all_nodes(graph))
