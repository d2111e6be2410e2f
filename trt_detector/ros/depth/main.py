# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Executable of the detections_3d node, or of several in one process."""

from __future__ import annotations

from collections.abc import Sequence
import sys

from ...process.tuning import keep_image_memory

# Before the imports below start threads, as in the executable of the detector node.
keep_image_memory()

# ruff: noqa: E402
from ...depth.config import DepthConfig
from ...parameter_spec import describe_fields
from ..lifecycle.executable import make_parser, run_nodes
from .node import Detections3DNode

__all__ = ['main']


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the nodes until SIGINT, SIGTERM or SIGHUP.

    :param argv: arguments without the program name; None takes those of the process.
    :return: 0, also after a signal; 1 if a node cannot start. Wrong arguments exit with 2.
    """
    parser = make_parser(
        'detections_3d',
        'Lifecycle node that locates detections in 3D by a depth image.',
        describe_fields(DepthConfig),
        'e.g. /front/detections_3d /rear/detections_3d; default: one node, detections_3d',
    )
    arguments = sys.argv[1:] if argv is None else argv
    return run_nodes(parser, Detections3DNode, 'detections_3d', arguments)


if __name__ == '__main__':
    sys.exit(main())
