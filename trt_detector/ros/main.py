# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Executable of the detector node."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os
import sys
import threading
import traceback

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import remove_ros_args

from ..config import parameter_specs
from ..process.stop_signals import SignalWatch
from ..process.tuning import tune_process
from .log_bridge import forward_logging
from .node import DetectorNode
from .parameter_files import find_unmatched_files

__all__ = ['main']

# A transition, services and diagnostics can run at the same time.
_THREADS = 4
# Exit code of a process that is ended because a driver call hangs.
_EXIT_HANGING = 3


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the node until SIGINT or SIGTERM.

    :param argv: arguments without the program name; None takes those of the process.
    :return: 0, also after a signal; 1 if the node cannot start. Wrong arguments exit with 2. If a
        driver call hangs, the process is ended with 3.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    stop = threading.Event()
    signals = SignalWatch(stop)
    notes = tune_process()
    try:
        _parser().parse_args(remove_ros_args(['detector_node', *arguments])[1:])
        # The handlers of rclpy would shut the context down in the middle of a transition.
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        node = DetectorNode()
    except Exception as error:  # noqa: BLE001 wrong ROS arguments raise several types
        print(f'detector_node: cannot start: {error}', file=sys.stderr)
        return 1
    forward_logging(node.get_logger())
    for note in (*notes, *find_unmatched_files(arguments, node.get_fully_qualified_name())):
        node.get_logger().warning(note)
    ended = _run(node, stop)
    signals.ignore()
    if not ended:
        # A driver call hangs: the interpreter would wait for it at exit, or crash.
        print('detector_node: a driver call hangs; the process is ended', file=sys.stderr)
        sys.stderr.flush()
        os._exit(_EXIT_HANGING)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


def _parser() -> argparse.ArgumentParser:
    """Create the parser of the command line, which has no options but --help."""
    parameters = '\n'.join(
        f'  {spec.name} ({spec.type}): {spec.meaning}' for spec in parameter_specs()
    )
    return argparse.ArgumentParser(
        prog='detector_node',
        description='Lifecycle node that detects objects in camera images.',
        epilog=f'Parameters, given as --ros-args -p NAME:=VALUE:\n{parameters}'.replace('%', '%%'),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _run(node: DetectorNode, stop: threading.Event) -> bool:
    """
    Spin until the event is set, then finalize the node.

    :return: False if a transition or a callback did not end.
    """
    executor = MultiThreadedExecutor(num_threads=_THREADS)
    executor.add_node(node)
    spun = Future()
    # Python runs signal handlers in the main thread only, and not while that waits inside ROS.
    spinner = threading.Thread(target=_spin, args=(node, executor, spun), name='spin', daemon=True)
    spinner.start()
    stop.wait()
    node.get_logger().info('stopping')
    # The executor still runs, so that the service call of a transition in progress is answered.
    ended = node.finalize()
    spun.set_result(None)
    spinner.join(timeout=5.0)
    if not ended or spinner.is_alive():
        # Without executor.shutdown(), which would wait for the callback that hangs.
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
