# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Executable of the detector node, or of several in one process."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os
import sys
import threading
import traceback

from ..process.tuning import keep_image_memory, use_shared_memory

# Before the imports below start threads: malloc gives each an arena of its own, which keeps the
# memory of large images.
keep_image_memory()

# ruff: noqa: E402
import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import remove_ros_args

from ..config import parameter_specs
from ..process.stop_signals import SignalWatch
from .log_bridge import forward_logging
from .node import DetectorNode
from .parameter_files import find_unmatched_files, find_unquoted_pairs
from .recovery.supervisor import EXIT_HANGING

__all__ = ['main']

# A transition, services and diagnostics can run at the same time.
_THREADS = 4
# Time for an orderly end after a fatal error; a driver that hangs can block it anywhere.
_END_TIMEOUT_S = 15.0


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the nodes until SIGINT or SIGTERM.

    :param argv: arguments without the program name; None takes those of the process.
    :return: 0, also after a signal; 1 if a node cannot start. Wrong arguments exit with 2. If a
        driver call hangs, the process is ended with 3; after a sticky CUDA error with 4.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    stop = threading.Event()
    signals = SignalWatch(stop)
    notes = use_shared_memory()
    try:
        options = _parser().parse_args(remove_ros_args(['detector_node', *arguments])[1:])
        # The handlers of rclpy would shut the context down in the middle of a transition.
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        nodes = [_create_node(name) for name in options.nodes or ['detector']]
    except Exception as error:  # noqa: BLE001 wrong ROS arguments raise several types
        text = '; '.join([str(error), *find_unquoted_pairs(arguments)])
        print(f'detector_node: cannot start: {text}', file=sys.stderr)
        return 1
    forward_logging(nodes[0].get_logger())
    for note in notes:
        nodes[0].get_logger().warning(note)
    # Together: each of several nodes can have a file of its own.
    names = [node.get_fully_qualified_name() for node in nodes]
    for note in find_unmatched_files(arguments, *names):
        nodes[0].get_logger().warning(note)
    fatal = _FatalEnd(stop)
    for node in nodes:
        node.on_fatal = fatal
    ended = _run(nodes, stop)
    signals.ignore()
    if not ended:
        # The interpreter would wait for the driver call at exit, or crash.
        print('detector_node: a driver call hangs; the process is ended', file=sys.stderr)
        fatal.end(EXIT_HANGING)
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    if fatal.exit_code is not None:
        fatal.end(fatal.exit_code)
    return 0


class _FatalEnd:
    """
    End of the process after an error that only a new process can recover from.

    :param stop: set to begin an orderly end.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self.exit_code: int | None = None

    def __call__(self, exit_code: int) -> None:
        """Begin to end the process; it ends within :data:`_END_TIMEOUT_S`."""
        if self.exit_code is not None:
            return
        self.exit_code = exit_code
        print(f'detector_node: the process ends with code {exit_code}', file=sys.stderr)
        timer = threading.Timer(_END_TIMEOUT_S, self.end, (exit_code,))
        timer.daemon = True
        timer.start()
        self._stop.set()

    def end(self, exit_code: int) -> None:
        """End the process at once, without the destructors of the interpreter and libraries."""
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(exit_code if self.exit_code is None else self.exit_code)


def _parser() -> argparse.ArgumentParser:
    """Create the parser of the command line."""
    parameters = '\n'.join(
        f'  {spec.name} ({spec.type}): {spec.meaning}' for spec in parameter_specs()
    )
    parser = argparse.ArgumentParser(
        prog='detector_node',
        description='Lifecycle node that detects objects in camera images.',
        epilog=f'Parameters, given as --ros-args -p NAME:=VALUE:\n{parameters}'.replace('%', '%%'),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'nodes',
        nargs='*',
        metavar='NODE',
        help='names of several nodes in this process, which share one CUDA context, e.g. '
        '/front/detector /rear/detector; default: one node, detector',
    )
    return parser


def _create_node(name: str) -> DetectorNode:
    """Create a node by its name, with the namespace before it, e.g. '/front/detector'."""
    namespace, _, base = name.rpartition('/')
    return DetectorNode(base, namespace=namespace) if namespace else DetectorNode(base)


def _run(nodes: Sequence[DetectorNode], stop: threading.Event) -> bool:
    """
    Spin until the event is set, then finalize the nodes.

    :return: False if a transition or a callback did not end.
    """
    executor = MultiThreadedExecutor(num_threads=_THREADS * len(nodes))
    for node in nodes:
        executor.add_node(node)
    spun = Future()
    # Python runs signal handlers in the main thread only, and not while that waits inside ROS.
    spinner = threading.Thread(
        target=_spin, args=(nodes[0], executor, spun), name='spin', daemon=True
    )
    spinner.start()
    stop.wait()
    for node in nodes:
        node.get_logger().info('stopping')
    for node in nodes:
        node.cancel_build()
    # The executor still runs, so that the service call of a transition in progress is answered.
    finalized = [node.finalize() for node in nodes]
    spun.set_result(None)
    if not all(finalized):
        # Without executor.shutdown(), which would wait for the callback that hangs.
        return False
    spinner.join(timeout=5.0)
    if spinner.is_alive():
        return False
    executor.shutdown()
    return True


def _spin(node: DetectorNode, executor: MultiThreadedExecutor, spun: Future) -> None:
    """Spin until the future is done; log exceptions of callbacks and go on."""
    while not spun.done() and rclpy.ok():
        try:
            executor.spin_until_future_complete(spun)
        except ExternalShutdownException:
            return
        except Exception:  # noqa: BLE001 logged; the node continues
            node.get_logger().error(f'exception in a callback:\n{traceback.format_exc()}')


if __name__ == '__main__':
    sys.exit(main())
