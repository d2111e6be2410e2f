# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes that a user keeps out of INT8 by patterns."""

from __future__ import annotations

from collections.abc import Sequence
import fnmatch

import onnx

from ..errors import ConfigError
from .graph_index import node_name

__all__ = ['match_nodes']

_EXAMPLES = 3


def match_nodes(model: onnx.ModelProto, patterns: Sequence[str]) -> frozenset[str]:
    """
    Return the names of the nodes that one of the patterns matches.

    :param patterns: shell patterns of whole names, '/model.22/*' say.
    :raises ConfigError: if a pattern matches no node, with some names.
    """
    names = [node_name(node) for node in model.graph.node]
    matched: set[str] = set()
    for pattern in patterns:
        found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            layers = [node_name(n) for n in model.graph.node if n.op_type == 'Conv'] or names
            raise ConfigError(
                f'quantize_exclude holds {pattern!r}, which matches none of the {len(names)} '
                f'nodes; their names look like {", ".join(layers[:_EXAMPLES])}'
            )
        matched.update(found)
    return frozenset(matched)
