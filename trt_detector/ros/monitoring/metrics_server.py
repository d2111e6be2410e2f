# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""HTTP server of the Prometheus metrics of a node."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import socket
from socketserver import TCPServer
import threading
import traceback
from typing import Any

from ...errors import ConfigError
from .diagnostics import NodeHealth
from .metrics import MetricsCollector

__all__ = ['MetricsServer']

_PATHS = ('/', '/metrics')
_CLIENT_TIMEOUT_S = 5.0


class MetricsServer:
    """
    Server of the metrics of one node, in threads of its own; off until :meth:`apply`.

    :param health: state of the node.
    :param node: full name of the node.
    :param on_error: called with a sentence if the metrics cannot be read.
    """

    def __init__(self, health: NodeHealth, node: str, on_error: Callable[[str], None]) -> None:
        self._health = health
        self._node = node
        self._on_error = on_error
        self._served = ('', 0)
        self._server: _Server | None = None

    def apply(self, address: str, port: int) -> None:
        """
        Serve at an address and port; the present server stays if they are the same.

        :param address: address of this machine, to which the server is bound.
        :param port: TCP port; 0 is off.
        :raises ConfigError: if prometheus_client is missing or the port cannot be used.
        """
        if self._served == (address, port) and self._server is not None:
            return
        self.close()
        if not port:
            return
        try:
            import prometheus_client
            from prometheus_client import core
        except ImportError as error:
            raise ConfigError(
                f'metrics_port is {port}, but prometheus_client cannot be imported ({error}): '
                'install python3-prometheus-client (apt) or prometheus-client (pip), or set '
                'metrics_port to 0'
            ) from error
        if not address:
            raise ConfigError(
                "metrics_address is ''; expected an address of this machine, e.g. 127.0.0.1, or "
                '0.0.0.0 for all of them'
            )
        registry = prometheus_client.CollectorRegistry()
        registry.register(MetricsCollector(self._health, self._node, core))
        content_type = prometheus_client.CONTENT_TYPE_LATEST
        try:
            self._server = _Server(
                address, port, lambda: prometheus_client.generate_latest(registry), content_type
            )
        except (OSError, TypeError, ValueError) as error:
            # TypeError and ValueError: a name that cannot be encoded for the name server.
            reason = getattr(error, 'strerror', None) or error
            raise ConfigError(
                f'cannot serve metrics at {address!r} port {port}: {reason}; set '
                'metrics_port to a free port, one per node, and metrics_address to an address of '
                'this machine'
            ) from error
        self._server.on_error = self._on_error
        self._served = (address, port)
        threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name='metrics', daemon=True
        ).start()

    def close(self) -> None:
        """Stop to serve; calling it again does nothing."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    """Server with a function that writes the metrics."""

    daemon_threads = True

    def __init__(
        self, address: str, port: int, write: Callable[[], bytes], content_type: str
    ) -> None:
        self.address_family = socket.AF_INET6 if ':' in address else socket.AF_INET
        self.write = write
        self.content_type = content_type
        self.on_error: Callable[[str], None] = lambda _text: None
        super().__init__((address, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking the name server for the name of the machine."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up; nothing is wrong with the node."""


class _Handler(BaseHTTPRequestHandler):
    """Handler of one request."""

    server: _Server
    timeout = _CLIENT_TIMEOUT_S

    def do_GET(self) -> None:
        """Answer with the metrics."""
        if self.path.partition('?')[0] not in _PATHS:
            self.send_error(HTTPStatus.NOT_FOUND, explain='the metrics are at /metrics')
            return
        try:
            body = self.server.write()
        except Exception:  # noqa: BLE001 reported; the node continues
            self.server.on_error(f'metrics failed:\n{traceback.format_exc()}')
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header('Content-Type', self.server.content_type)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 name of the parent
        """Do not log requests."""
