# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Requests of the own page are served, those of other pages are not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from trt_detector.dashboard.page.origin_check import OriginCheck

OWN = '127.0.0.1:8050'


def ask(kind: str, method: str = 'GET', **headers: str) -> list[dict[str, Any]]:
    """Return the messages that answer a request."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})

    async def receive() -> dict[str, str]:
        return {'type': 'websocket.connect'}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        'type': kind,
        'method': method,
        'headers': [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(OriginCheck(app, ['robot'])(scope, receive, send))
    return sent


def is_served(kind: str, method: str = 'GET', **headers: str) -> bool:
    """Tell whether a request reaches the application."""
    return ask(kind, method, **headers)[0].get('status') == 200


@pytest.mark.parametrize(
    'host', [OWN, 'localhost:8050', '[::1]:8050', '192.168.1.7', 'robot:8050']
)
def test_the_own_page_is_served(host: str) -> None:
    assert is_served('http', host=host)
    assert is_served('http', 'POST', host=host, origin=f'http://{host}')
    assert is_served('websocket', host=host, origin=f'http://{host}')
    assert is_served('websocket', host=host, origin=f'https://{host}')


@pytest.mark.parametrize(
    'origin', ['http://evil.example', 'null', 'http://127.0.0.1:8051', 'http://127.0.0.1', '']
)
def test_other_pages_are_refused(origin: str) -> None:
    assert not is_served('websocket', host=OWN, origin=origin)
    assert not is_served('http', 'POST', host=OWN, origin=origin)
    assert not is_served('http', 'GET', host=OWN, origin=origin)


def test_without_origin_nothing_can_be_changed() -> None:
    assert is_served('http', 'GET', host=OWN)
    assert not is_served('http', 'POST', host=OWN)
    assert not is_served('websocket', host=OWN)


@pytest.mark.parametrize('host', ['evil.example:8050', 'robot.evil.example', '', '[::1', '@:1'])
def test_foreign_names_for_this_machine_are_refused(host: str) -> None:
    assert not is_served('http', host=host)
    assert not is_served('websocket', host=host, origin=f'http://{host}')


def test_a_refusal_says_why_and_pages_cannot_be_framed() -> None:
    start, body = ask('http', host='evil.example')
    assert start['status'] == 403
    assert b'evil.example' in body['body']
    (closed,) = ask('websocket', host=OWN, origin='http://evil.example')
    assert closed['type'] == 'websocket.close'
    (served,) = ask('http', host=OWN)
    assert (b'x-frame-options', b'DENY') in served['headers']
