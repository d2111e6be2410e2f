# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Serve the dashboard until it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
import ipaddress
import socket
import threading

from ..errors import DetectorError

__all__ = ['open_socket', 'serve', 'show_url']

_END_TIMEOUT_S = 5.0


def open_socket(address: str, port: int) -> socket.socket:
    """
    Open the socket of the page.

    :param port: 0 chooses a free one.
    :raises DetectorError: if the port is in use or the address is not one of this machine.
    """
    try:
        family, _, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as undo:
            opened = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(target)
            opened.listen(128)
            undo.pop_all()
            return opened
    except (OSError, OverflowError, UnicodeError) as error:
        raise DetectorError(
            f'cannot serve at address {address}, port {port}: {error}; choose another one with '
            '--port (0 takes a free one) or --address'
        ) from error


def show_url(opened: socket.socket) -> str:
    """Write the URL under which this machine opens the page."""
    address, port = opened.getsockname()[:2]
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        return f'http://localhost:{port}/'
    return f'http://[{address}]:{port}/' if parsed.version == 6 else f'http://{address}:{port}/'


def serve(
    opened: socket.socket, names: Sequence[str], ready: Callable[[], None], stop: threading.Event
) -> None:
    """
    Serve the page and watch the nodes until an event; ROS is initialized before.

    :param opened: listening socket; closed at the end.
    :param names: host names under which the page may be opened, beside IP addresses.
    :param ready: called when the page is served.
    :param stop: event.
    :raises DetectorError: if the server ends by itself.
    """
    import uvicorn

    from .graph.watcher import Watcher
    from .page.app import create_app

    with contextlib.ExitStack() as stack:
        stack.callback(opened.close)
        watcher = Watcher()
        stack.callback(watcher.close)
        config = uvicorn.Config(
            create_app(watcher, names),
            log_level='warning',
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        server = uvicorn.Server(config)
        # Signals are handled in the main thread, by the caller.
        thread = threading.Thread(target=server.run, args=([opened],), name='server', daemon=True)
        thread.start()
        stack.callback(_end, server, thread)
        while not server.started and thread.is_alive() and not stop.wait(0.05):
            pass
        if server.started:
            ready()
        while thread.is_alive() and not stop.wait(0.5):
            pass
        if not stop.is_set():
            raise DetectorError('the web server ended; its last lines say why')


def _end(server: object, thread: threading.Thread) -> None:
    """Ask the server to end, and wait for it."""
    server.should_exit = True  # type: ignore[attr-defined]
    thread.join(_END_TIMEOUT_S)
