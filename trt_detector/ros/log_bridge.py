# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What the package's modules log, in the log of the node."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ['RosLogHandler', 'forward_logging']


class RosLogHandler(logging.Handler):
    """
    Hands records of Python's logging to a ROS logger, any thread's.

    :param logger: the node's logger.
    """

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        text = self.format(record)
        # A line each: rclpy refuses a call that changes its severity.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def forward_logging(logger: Any) -> RosLogHandler:
    """
    Let everything that the package logs appear in a ROS logger.

    :param logger: the node's logger.
    :return: the handler, for whoever takes it away again.
    """
    handler = RosLogHandler(logger)
    package = logging.getLogger(__package__.partition('.')[0])
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    package.propagate = False
    return handler
