# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Page of one browser tab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import time
from typing import Any

from nicegui import ui

from ..views import NodeView
from . import fragments
from .controls import LifecycleButtons, ParameterControls
from .pictures import Pictures
from .source import Source

__all__ = ['DashboardPage']

_REFRESH_S = 0.5


class DashboardPage:
    """
    Elements of the page, and their updates.

    :param source: watches the nodes.
    :param node: full name of the node to show first; '' is the first one.
    """

    def __init__(self, source: Source, node: str) -> None:
        self._source = source
        self._selected = node
        self._names: tuple[tuple[str, str], ...] = ()
        self._noticed: dict[str, int] = {}
        self._html: dict[str, Any] = {}

    def build(self) -> None:
        """Create the elements."""
        with ui.element('header').classes('bar'):
            self._add('brand').set_content('<b>trt_detector</b>')
            self._nodes = ui.element('nav').classes('nodes')
            self._add('state')
            ui.button('Theme', color=None).props('flat no-caps').classes('plain theme').on(
                'click', js_handler='() => trtTheme()'
            )
        self._nothing = self._add('nothing')
        with ui.element('div').classes('page') as self._main:
            self._add('subtitle')
            self._add('banner')
            self._add('figures')
            with ui.element('div').classes('columns'):
                with ui.element('div').classes('wide'):
                    self._build_wide()
                with ui.element('div').classes('narrow'):
                    self._build_narrow()
        self._refresh()
        ui.timer(_REFRESH_S, self._refresh)

    def _build_wide(self) -> None:
        """Create pictures, charts and log."""
        self._pictures = Pictures()
        with ui.element('div').classes('pair'):
            with _card('Latency', 'reception of an image to its detections'):
                self._add('latency')
            with _card('Images', 'all cameras'):
                self._add('rates')
        with _card('Log'):
            self._add('log')

    def _build_narrow(self) -> None:
        """Create lifecycle, parameters, stages and diagnostics."""
        with _card('Lifecycle'):
            self._buttons = LifecycleButtons(self._source)
        with _card('Parameters', 'take effect at once'):
            self._parameters = ParameterControls(self._source)
        with _card('Stages', 'per image'):
            self._add('stages')
        with _card('Diagnostics'):
            self._add('diagnostics')

    def _add(self, name: str) -> Any:
        """Add a part of the page whose content is HTML."""
        # Not sanitized by the library: every fragment escapes the texts of the nodes.
        self._html[name] = ui.html('', sanitize=False).classes(f'part-{name}')
        return self._html[name]

    def _refresh(self) -> None:
        """Show the present state."""
        views = self._source.views()
        view = self._select(views)
        self._show_nodes(views)
        self._nothing.set_visibility(view is None)
        self._main.set_visibility(view is not None)
        if view is None:
            self._set('state', '')
            self._set('nothing', fragments.write_nothing(self._source.domain_id, self._selected))
            return
        now_s = time.monotonic()
        self._main.classes(
            add='dead' if view.condition == 'dead' else '',
            remove='' if view.condition == 'dead' else 'dead',
        )
        self._set('state', fragments.write_state(view))
        self._set('subtitle', fragments.write_subtitle(view))
        self._set('banner', fragments.write_banner(view))
        self._set('figures', fragments.write_figures(view))
        self._set('latency', fragments.write_latency_chart(view, now_s))
        self._set('rates', fragments.write_rate_chart(view, now_s))
        self._set('stages', fragments.write_stages(view))
        self._set('diagnostics', fragments.write_diagnostics(view))
        self._set('log', fragments.write_log(view.log))
        self._pictures.update(view)
        self._buttons.update(view)
        self._parameters.update(view)
        self._notify(view)

    def _set(self, name: str, content: str) -> None:
        """Set the content of a part; the same content is not sent again."""
        if self._html[name].content != content:
            self._html[name].set_content(content)

    def _select(self, views: tuple[NodeView, ...]) -> NodeView | None:
        """Find the selected node; the first one that lives if none is selected."""
        by_name = {view.name: view for view in views}
        if not self._selected and views:
            living = [view.name for view in views if view.condition != 'dead']
            self._selected = (living or list(by_name))[0]
        return by_name.get(self._selected)

    def _show_nodes(self, views: tuple[NodeView, ...]) -> None:
        """Show one button per node."""
        names = tuple((view.name, _mark(view)) for view in views)
        shown = (*names, (self._selected, ''))
        if shown == self._names:
            return
        self._names = shown
        self._nodes.clear()
        with self._nodes:
            for name, mark in names:
                chosen = ' chosen' if name == self._selected else ''
                ui.button(name, color=None, on_click=lambda name=name: self._choose(name)).props(
                    'flat no-caps'
                ).classes(f'plain node {mark}{chosen}')

    def _choose(self, name: str) -> None:
        """Show another node."""
        self._selected = name
        self._refresh()

    def _notify(self, view: NodeView) -> None:
        """Show the notices that are new since the page was opened."""
        newest = view.notices[-1].number if view.notices else 0
        seen = self._noticed.setdefault(view.name, newest)
        for notice in view.notices:
            if notice.number > seen:
                ui.notify(
                    notice.text,
                    type='negative' if notice.is_error else 'info',
                    position='bottom',
                    timeout=8000,
                    close_button='Close',
                    multi_line=True,
                )
        self._noticed[view.name] = newest


@contextmanager
def _card(title: str, detail: str = '') -> Iterator[None]:
    """Create a card with a title; the elements of the block go into it."""
    with ui.element('section').classes('card'):
        ui.html(f'<h2>{title}<small>{detail}</small></h2>', sanitize=False)
        yield


def _mark(view: NodeView) -> str:
    """Choose the mark of a node in the list of nodes."""
    if view.condition == 'dead':
        return 'error'
    status = view.status('detector')
    if view.condition == 'waiting' or status is None:
        return 'stale'
    return 'stale' if status.level == 'ok' and view.state != 'active' else status.level
