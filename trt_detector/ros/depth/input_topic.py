# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""One topic that the node subscribes to."""

from __future__ import annotations

import difflib
import time
from typing import Any

from rclpy.node import Node

__all__ = ['InputTopic']


class InputTopic:
    """
    Counter of the messages of a topic.

    :param name: full name after remapping.
    :param message_type: type of its messages.
    """

    def __init__(self, name: str, message_type: Any) -> None:
        self.name = name
        self.type_name = f'{message_type.__module__.partition(".")[0]}/msg/{message_type.__name__}'
        self.received = 0
        self.received_s: float | None = None

    def count(self) -> None:
        """Count a message."""
        self.received += 1
        self.received_s = time.monotonic()

    def explain_silence(self, node: Node) -> str:
        """
        Name the most likely reason why no message arrives, and the remedy.

        :param node: looks at the graph.
        """
        publishers = node.get_publishers_info_by_topic(self.name)
        if not publishers:
            return f'no publisher of {self.name}{self._suggest(node)}'
        offered = sorted({info.topic_type for info in publishers})
        if self.type_name not in offered:
            return f'{self.name} has the type {", ".join(offered)}; expected {self.type_name}'
        return f'{len(publishers)} publisher(s) of {self.name} send nothing'

    def _suggest(self, node: Node) -> str:
        """Suggest similar topics of the type that somebody publishes."""
        others = [
            name
            for name, types in node.get_topic_names_and_types()
            if self.type_name in types and node.count_publishers(name)
        ]
        near = difflib.get_close_matches(self.name, others, n=3, cutoff=0.0)
        return f'; topics of this type with a publisher: {", ".join(near)}' if near else ''
