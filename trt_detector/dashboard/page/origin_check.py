# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Refuse requests that other web pages make.

A page of any site can open a WebSocket to the loopback address of the machine that shows it, and
a name of its own can point there (DNS rebinding). Both are recognized by the headers Origin and
Host, which a page cannot forge.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
import ipaddress
from typing import Any
from urllib.parse import urlsplit

__all__ = ['OriginCheck']

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY = [
    # The page in a frame of another one could be clicked unknowingly.
    (b'content-security-policy', b"frame-ancestors 'none'"),
    (b'x-frame-options', b'DENY'),
    (b'x-content-type-options', b'nosniff'),
    (b'referrer-policy', b'no-referrer'),
]


class OriginCheck:
    """
    ASGI application around another one.

    :param app: gets the requests of the own page.
    :param names: host names of this machine beside IP addresses and localhost.
    """

    def __init__(self, app: Application, names: Iterable[str]) -> None:
        self._app = app
        self._names = {'localhost', *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        kind = scope['type']
        if kind not in ('http', 'websocket'):
            await self._app(scope, receive, send)
            return
        reason = self._find_fault(scope)
        if not reason:
            await self._app(scope, receive, _add_policy(send) if kind == 'http' else send)
        elif kind == 'http':
            headers = [(b'content-type', b'text/plain; charset=utf-8')]
            await send({'type': 'http.response.start', 'status': 403, 'headers': headers})
            await send({'type': 'http.response.body', 'body': f'{reason}\n'.encode()})
        else:
            await receive()
            await send({'type': 'websocket.close', 'code': 1008, 'reason': reason})

    def _find_fault(self, scope: Scope) -> str:
        """Find the reason to refuse a request; '' if there is none."""
        headers = [(key.lower(), value.decode('latin-1')) for key, value in scope['headers']]
        hosts = [value for key, value in headers if key == b'host']
        origins = [value for key, value in headers if key == b'origin']
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return f'host {hosts}: open this page by IP address, localhost or host name'
        if not origins:
            # Browsers leave it out of plain GET requests of the page itself.
            is_harmless = scope['type'] == 'http' and scope['method'] in ('GET', 'HEAD')
            return '' if is_harmless else 'a request without Origin cannot change anything'
        # A proxy in front of this server may add TLS.
        if origins not in ([f'http://{hosts[0]}'], [f'https://{hosts[0]}']):
            return f'origin {origins} is not this page'
        return ''

    def _is_own(self, host: str) -> bool:
        """Tell whether a Host header names this machine and not a foreign name for it."""
        try:
            name = urlsplit(f'//{host}').hostname or ''
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True


def _add_policy(send: Send) -> Send:
    """Add the headers of the policy to a response."""

    async def send_with_policy(message: MutableMapping[str, Any]) -> None:
        if message['type'] == 'http.response.start':
            message['headers'] = [*message.get('headers', ()), *_POLICY]
        await send(message)

    return send_with_policy
