# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Find other nodes that publish to the topics of the detections."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.node import Node

__all__ = ['describe_other_publishers']


def describe_other_publishers(node: Node, topics: Iterable[str]) -> str:
    """
    Write a sentence about other nodes that publish to topics of a node; '' without any.

    :param node: looks at the graph.
    :param topics: full names.
    """
    own = (node.get_name(), node.get_namespace())
    sentences = []
    for topic in topics:
        publishers = node.get_publishers_info_by_topic(topic)
        names = {(each.node_name, each.node_namespace) for each in publishers} - {own}
        others = sorted(f'{space.rstrip("/")}/{name}' for name, space in names)
        if others:
            sentences.append(
                f'{topic} is published by {", ".join(others)} as well: its subscribers get the '
                f'detections of both; remap it for one of them, e.g. --ros-args -r '
                f'{topic}:={topic}_2'
            )
    return '; '.join(sentences)
