# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Serve a web page that shows and controls the detector nodes of this ROS domain."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
import socket
import sys
import threading

from ..errors import DetectorError
from ..process.stop_signals import SignalWatch
from ..process.tuning import tune_process
from .argument_types import parse_port
from .command_line import add_json_option, make_parser, write_result
from .ros_tool import parse_ros_arguments, start_ros

__all__ = ['main']

_LOOPBACK = '127.0.0.1'
_PORT = 8050


def main(argv: Sequence[str] | None = None) -> int:
    """
    Serve the page until SIGINT or SIGTERM.

    :param argv: arguments without the program's name, ROS arguments among them; None takes the
        process's own.
    :return: 0 after a signal, 1 if the page cannot be served.
    """
    notes = tune_process()
    parsed = parse_ros_arguments(_parser(), argv)
    if parsed is None:
        return 1
    arguments, options = parsed
    import rclpy

    try:
        import nicegui  # noqa: F401
    except ImportError as error:
        print(
            f"dashboard: NiceGUI cannot be imported ({error}): pip install 'nicegui>=3,<4'",
            file=sys.stderr,
        )
        return 1
    for note in notes:
        print(f'dashboard: {note}', file=sys.stderr)
    stop = threading.Event()
    with closing(SignalWatch(stop)):
        try:
            start_ros(arguments)
            return _serve(options, stop)
        except DetectorError as error:
            print(f'dashboard: {error}', file=sys.stderr)
            return 1
        finally:
            rclpy.try_shutdown()


def _serve(options: argparse.Namespace, stop: threading.Event) -> int:
    """
    Serve the page; return the exit code.

    :raises DetectorError: if it cannot be served.
    """
    from ..dashboard.server import open_socket, serve, show_url

    codes = []
    opened = open_socket(options.address, options.port)
    url = show_url(opened)

    def ready() -> None:
        if options.json != Path('-'):
            print(f'dashboard: {url}', flush=True)
        codes.append(write_result('dashboard', options.json, {'url': url}))
        sys.stdout.flush()

    host = socket.gethostname()
    serve(opened, (host, f'{host}.local', options.address), ready, stop)
    return max(codes, default=0)


def _parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = make_parser(
        'dashboard',
        __doc__ or '',
        examples=['', '--port 8080', '--address 0.0.0.0'],
        exit_codes={0: 'ended by a signal', 1: 'the page cannot be served'},
        needs_ros=True,
    )
    parser.add_argument(
        '--address',
        default=_LOOPBACK,
        help='address of this machine at which the page is served. Default: %(default)s, for this '
        'machine only. 0.0.0.0 is all networks: whoever reaches the port controls the nodes, '
        'without a password.',
    )
    parser.add_argument(
        '--port',
        type=parse_port,
        default=_PORT,
        help='TCP port; 0 takes a free one. Default: %(default)s.',
    )
    add_json_option(parser)
    return parser


if __name__ == '__main__':
    sys.exit(main())
