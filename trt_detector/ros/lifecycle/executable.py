# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Run lifecycle nodes in this process until a signal."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
import json
import os
import sys
import textwrap
import threading
import traceback
from typing import Any

import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import remove_ros_args

from ...errors import ConfigError
from ...parameter_spec import ParameterSpec
from ...process.ros_arguments import (
    find_start_remedies,
    find_stray_argument,
    find_wrong_rules,
)
from ...process.stop_signals import SignalWatch
from ...process.tuning import use_shared_memory
from ..log_bridge import forward_logging
from ..parameter_files import find_unmatched_files, find_unreadable_lists, find_wrong_layouts
from ..sharing.shared_subscriptions import SharedSubscriptions
from .exit_codes import EXIT_DEVICE_LOST, EXIT_HANGING
from .managed_node import ManagedNode

__all__ = ['make_parser', 'run_nodes']

# A transition, services and diagnostics can run at the same time.
_THREADS = 4
_EXIT_CODES = f"""exit codes:
  0  stopped by SIGINT, SIGTERM or SIGHUP
  1  cannot start
  2  wrong arguments
  {EXIT_HANGING}  a driver call or an inference hangs
  {EXIT_DEVICE_LOST}  a CUDA error that only a new process survives"""
# Time for an orderly end after a fatal error; a driver that hangs can block it anywhere.
_END_TIMEOUT_S = 15.0


def make_parser(
    program: str, description: str, specs: Sequence[ParameterSpec], nodes: str
) -> argparse.ArgumentParser:
    """
    Create the parser of the command line of a node.

    :param program: name of the executable.
    :param specs: parameters of the node, for the help.
    :param nodes: end of the sentence about the names of several nodes.
    """
    parameters = '\n'.join(_describe(spec) for spec in specs)
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=f'Parameters, given as --ros-args -p NAME:=VALUE:\n{parameters}\n\n{_EXIT_CODES}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'nodes',
        nargs='*',
        metavar='NODE',
        help=f'names of several nodes in this process, {nodes}',
    )
    return parser


def _describe(spec: ParameterSpec) -> str:
    """Describe a parameter with its type and default in lines of at most 99 columns."""
    # JSON is YAML, in which parameters are written.
    return textwrap.fill(
        f'{spec.name} ({spec.type_words}): {spec.meaning} Default: {json.dumps(spec.default)}.',
        width=99,
        initial_indent='  ',
        subsequent_indent='      ',
        break_on_hyphens=False,
    )


def run_nodes(
    parser: argparse.ArgumentParser,
    create: Callable[..., ManagedNode],
    default_name: str,
    arguments: Sequence[str],
    *,
    shares_images: bool = False,
) -> int:
    """
    Run the nodes until SIGINT, SIGTERM or SIGHUP.

    :param parser: parser of the command line, with the names of the nodes in 'nodes'.
    :param create: creates a node by its name, and by its namespace if it has one.
    :param default_name: name of the node if the command line names none.
    :param arguments: arguments without the program name.
    :param shares_images: several nodes share the subscriptions to images.
    :return: 0, also after a signal; 1 if a node cannot start. Wrong arguments exit with 2. If a
        driver call hangs, the process is ended with 3; after a sticky CUDA error with 4.
    """
    program = parser.prog
    stop = threading.Event()
    signals = SignalWatch(stop)
    notes = use_shared_memory()
    with ExitStack() as undo:
        # A program that cannot start leaves the handlers of its caller.
        undo.callback(signals.close)
        try:
            own = remove_ros_args([program, *arguments])[1:]
            if stray := find_stray_argument(own):
                parser.error(stray)
            options = parser.parse_args(own)
            # The handlers of rclpy would shut the context down in the middle of a transition.
            rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
            shared = SharedSubscriptions() if shares_images and len(options.nodes) > 1 else None
            nodes = [
                _create_node(create, name, shared) for name in options.nodes or [default_name]
            ]
            names = _find_names(nodes)
        except Exception as error:  # noqa: BLE001 wrong ROS arguments raise several types
            hints = [
                *find_unreadable_lists(arguments),
                *find_wrong_layouts(arguments),
                *find_wrong_rules(arguments),
                *find_start_remedies(str(error)),
            ]
            _report(f'{program}: cannot start: {"; ".join([str(error), *hints])}')
            return 1
        undo.pop_all()
    forward_logging(nodes[0].get_logger())
    for note in notes:
        nodes[0].get_logger().warning(note)
    # Together: each of several nodes can have a file of its own.
    for note in find_unmatched_files(arguments, *names):
        nodes[0].get_logger().warning(note)
    fatal = _FatalEnd(program, stop)
    for node in nodes:
        node.on_fatal = fatal
    ended = _run(nodes, stop)
    signals.ignore()
    if not ended:
        # The interpreter would wait for the driver call at exit, or crash.
        _report(f'{program}: a driver call hangs; the process is ended')
        fatal.end(EXIT_HANGING)
    for node in nodes:
        node.destroy_node()
    if shared is not None:
        shared.close()
    rclpy.try_shutdown()
    if fatal.exit_code is not None:
        fatal.end(fatal.exit_code)
    return 0


def _report(text: str) -> None:
    """Write to standard error, unless it is closed or its reader is gone: nobody can be told."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


class _FatalEnd:
    """
    End of the process after an error that only a new process can recover from.

    :param program: name of the executable.
    :param stop: set to begin an orderly end.
    """

    def __init__(self, program: str, stop: threading.Event) -> None:
        self._program = program
        self._stop = stop
        self.exit_code: int | None = None

    def __call__(self, exit_code: int) -> None:
        """Begin to end the process; it ends within :data:`_END_TIMEOUT_S`."""
        if self.exit_code is not None:
            return
        self.exit_code = exit_code
        _report(f'{self._program}: the process ends with code {exit_code}')
        timer = threading.Timer(_END_TIMEOUT_S, self.end, (exit_code,))
        timer.daemon = True
        timer.start()
        self._stop.set()

    def end(self, exit_code: int) -> None:
        """End the process at once, without the destructors of the interpreter and libraries."""
        for stream in (sys.stderr, sys.stdout):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(exit_code if self.exit_code is None else self.exit_code)


def _create_node(
    create: Callable[..., ManagedNode], name: str, shared: SharedSubscriptions | None
) -> ManagedNode:
    """Create a node by its name, with the namespace before it, e.g. '/front/detector'."""
    namespace, _, base = name.rpartition('/')
    given: dict[str, Any] = {'namespace': namespace} if namespace else {}
    return create(base, **given) if shared is None else create(base, receiver=shared, **given)


def _find_names(nodes: Sequence[ManagedNode]) -> list[str]:
    """
    Find the full names of the nodes, which remapping can change.

    :raises ConfigError: if two are equal: both would offer the same services and topics.
    """
    names = [node.get_fully_qualified_name() for node in nodes]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f'{names.count(name)} nodes of this process have the name {name}; give each a '
                'name of its own with its namespace, e.g. /front/detector, instead of remapping '
                '__node or __ns for all of them'
            )
    return names


def _run(nodes: Sequence[ManagedNode], stop: threading.Event) -> bool:
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
        node.is_ending = True
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


def _spin(node: ManagedNode, executor: MultiThreadedExecutor, spun: Future) -> None:
    """Spin until the future is done; log exceptions of callbacks and go on."""
    while not spun.done() and rclpy.ok():
        try:
            executor.spin_until_future_complete(spun)
        except ExternalShutdownException:
            return
        except InvalidHandle as error:
            # A transition destroyed an entity that the executor was about to wait for.
            node.get_logger().debug(f'an entity was destroyed meanwhile: {error}')
        except Exception:  # noqa: BLE001 logged; the node continues
            node.get_logger().error(f'exception in a callback:\n{traceback.format_exc()}')
