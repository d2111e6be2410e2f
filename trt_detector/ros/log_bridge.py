# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Forward Python logging of the package to the log of the node."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ['RosLogHandler', 'forward_logging']


class RosLogHandler(logging.Handler):
    """
    Logging handler that writes records to a ROS logger, from any thread.

    :param logger: logger of the node.
    """

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        text = self.format(record)
        # One call per severity: rclpy refuses a call site that changes its severity.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def forward_logging(logger: Any) -> RosLogHandler:
    """
    Forward the log records of the package to a ROS logger.

    :param logger: logger of the node.
    :return: the handler, to be removed by the caller if necessary.
    """
    handler = RosLogHandler(logger)
    package = logging.getLogger(__package__.partition('.')[0])
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    package.propagate = False
    return handler
