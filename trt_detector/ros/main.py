# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Executable of the detector node, or of several in one process."""

from __future__ import annotations

from collections.abc import Sequence
import sys

from ..process.tuning import keep_image_memory

# Before the imports below start threads: malloc gives each an arena of its own, which keeps the
# memory of large images.
keep_image_memory()

# ruff: noqa: E402
from ..config import parameter_specs
from .lifecycle.executable import make_parser, run_nodes
from .node import DetectorNode

__all__ = ['main']


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the nodes until SIGINT, SIGTERM or SIGHUP.

    :param argv: arguments without the program name; None takes those of the process.
    :return: 0, also after a signal; 1 if a node cannot start. Wrong arguments exit with 2. If a
        driver call hangs, the process is ended with 3; after a sticky CUDA error with 4.
    """
    parser = make_parser(
        'detector_node',
        'Lifecycle node that detects objects in camera images.',
        parameter_specs(),
        'which share one CUDA context and the images of a topic, e.g. /front/detector '
        '/rear/detector; default: one node, detector',
    )
    arguments = sys.argv[1:] if argv is None else argv
    return run_nodes(parser, DetectorNode, 'detector', arguments, shares_images=True)


if __name__ == '__main__':
    sys.exit(main())
