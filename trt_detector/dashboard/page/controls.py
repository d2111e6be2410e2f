# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Buttons of the lifecycle and controls of the live parameters."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from nicegui import ui

from ...config import parameter_specs, ParameterSpec
from ..views import NodeView, TRANSITIONS
from .scale import make_scale
from .source import Source

__all__ = ['LifecycleButtons', 'ParameterControls']

_LABELS = {
    'configure': 'Configure',
    'activate': 'Activate',
    'deactivate': 'Deactivate',
    'cleanup': 'Clean up',
}
_FIRST = (
    'score_threshold', 'iou_threshold', 'max_detections', 'classes', 'class_agnostic_nms',
    'publish_debug_image',
)  # fmt: skip
# A value that the node reports does not move a control that was just moved.
_SETTLE_S = 3.0
_THROTTLE_S = 0.15


class LifecycleButtons:
    """
    One button per transition; the possible ones are enabled.

    :param source: gets the requests.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._view: NodeView | None = None
        self._buttons: dict[str, Any] = {}
        with ui.element('div').classes('buttons'):
            for transition, label in _LABELS.items():
                self._buttons[transition] = (
                    ui.button(label, color=None, on_click=self._make_request(transition))
                    .props('flat no-caps')
                    .classes('action')
                )

    def update(self, view: NodeView) -> None:
        """Enable the buttons of the transitions that are possible now."""
        self._view = view
        possible = view.transitions
        # The next step toward detection stands out.
        main = next((t for t in ('configure', 'activate') if t in possible), '')
        for transition, button in self._buttons.items():
            button.set_enabled(transition in possible)
            button.classes(
                add='main' if transition == main else '',
                remove='' if transition == main else 'main',
            )
            is_busy = transition == view.requested or (
                transition == 'configure' and view.state == 'configuring'
            )
            button.props(add='loading' if is_busy else '', remove='' if is_busy else 'loading')

    def _make_request(self, transition: str) -> Callable[[], None]:
        """Create the handler of a button."""

        def request() -> None:
            view = self._view
            if view is not None and view.state in TRANSITIONS and transition in view.transitions:
                self._source.change_state(view.name, transition)

        return request


class ParameterControls:
    """
    One control per live parameter.

    :param source: gets the changes.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._box = ui.element('div').classes('parameters')
        self._node = ''
        self._names: tuple[str, ...] = ()
        self._show: dict[str, Callable[[Any], None]] = {}
        self._moved_s: dict[str, float] = {}
        self._controls: list[Any] = []

    def update(self, view: NodeView) -> None:
        """Show the values of a node."""
        known = {name: value for name, value in view.parameters.items() if value is not None}
        specs = [spec for spec in _live_specs() if spec.name in known]
        names = tuple(spec.name for spec in specs)
        if (view.name, names) != (self._node, self._names):
            self._node, self._names = view.name, names
            self._build(specs)
        now_s = time.monotonic()
        for name, show in self._show.items():
            if now_s - self._moved_s.get(name, float('-inf')) > _SETTLE_S:
                show(known[name])
        for control in self._controls:
            control.set_enabled(view.condition == 'alive')

    def _build(self, specs: list[ParameterSpec]) -> None:
        """Create the controls anew."""
        self._box.clear()
        self._show, self._moved_s, self._controls = {}, {}, []
        first = [spec for spec in specs if spec.name in _FIRST]
        others = [spec for spec in specs if spec.name not in _FIRST]
        with self._box:
            if not specs:
                ui.html('<p class="empty">No values yet.</p>', sanitize=False)
            for spec in first:
                self._add(spec)
            if others:
                with ui.expansion('More').classes('more'):
                    for spec in others:
                        self._add(spec)

    def _add(self, spec: ParameterSpec) -> None:
        """Add the control of a parameter."""
        row = ui.element('div').classes('parameter')
        row.props['title'] = spec.meaning
        row.props['data-parameter'] = spec.name
        with row:
            if spec.type == 'bool':
                control = ui.switch(spec.name)
                control.on('update:model-value', lambda: self._set(spec, bool(control.value)))
                self._show[spec.name] = lambda value: _show_value(control, bool(value))
            elif spec.choices:
                self._label(spec)
                control = ui.select(list(spec.choices)).props('dense outlined')
                control.on('update:model-value', lambda: self._set(spec, control.value))
                self._show[spec.name] = lambda value: _show_value(control, value)
            elif make_scale(spec) is not None:
                control = self._add_slider(spec)
            else:
                control = self._add_input(spec)
            self._controls.append(control)

    def _label(self, spec: ParameterSpec) -> Any:
        """Add name and value of a parameter; return the element of the value."""
        with ui.element('div').classes('row'):
            ui.label(spec.name).classes('name')
            return ui.label('').classes('value')

    def _add_slider(self, spec: ParameterSpec) -> Any:
        """Add a slider with its value."""
        scale = make_scale(spec)
        if scale is None:
            raise ValueError(f'{spec.name} has no range for a slider')
        label = self._label(spec)
        unit = f' {spec.unit}' if spec.unit else ''
        slider = ui.slider(min=0, max=scale.steps, step=1)
        slider.props(f'aria-label="{spec.name}"')

        def show(value: Any) -> None:
            label.set_text(f'{value:g}{unit}')
            if scale.to_value(slider.value or 0) != value:
                slider.value = scale.to_position(value)

        def move(event: Any) -> None:
            value = scale.to_value(event.args)
            label.set_text(f'{value:g}{unit}')
            self._set(spec, value)

        slider.on('update:model-value', move, throttle=_THROTTLE_S)
        self._show[spec.name] = show
        return slider

    def _add_input(self, spec: ParameterSpec) -> Any:
        """Add a text field; a list is written with commas."""
        is_list = spec.type.startswith('list[')
        self._label(spec)
        field = ui.input(placeholder='all' if spec.name == 'classes' else '')
        field.props(f'dense outlined aria-label="{spec.name}"')

        def show(value: Any) -> None:
            _show_value(field, ', '.join(value) if is_list else f'{value:g}')

        def send() -> None:
            text = str(field.value or '')
            if is_list:
                self._set(spec, [item.strip() for item in text.split(',') if item.strip()])
                return
            try:
                self._set(spec, {'int': int, 'float': float}[spec.type](text))
            except ValueError:
                ui.notify(f'{spec.name} is {text!r}; expected a number', type='negative')

        field.on('keydown.enter', send)
        field.on('blur', lambda: self._moved_s.pop(spec.name, None))
        field.on('focus', lambda: self._moved_s.update({spec.name: float('inf')}))
        self._show[spec.name] = show
        return field

    def _set(self, spec: ParameterSpec, value: Any) -> None:
        """Set a parameter of the node."""
        self._moved_s[spec.name] = time.monotonic()
        self._source.set_parameter(self._node, spec.name, value)


def _live_specs() -> list[ParameterSpec]:
    """List the parameters that change while a node is active, the usual ones first."""
    live = [spec for spec in parameter_specs() if spec.live]
    order = {name: number for number, name in enumerate(_FIRST)}
    return sorted(live, key=lambda spec: order.get(spec.name, len(order)))


def _show_value(control: Any, value: Any) -> None:
    """Set the value of a control; only a user's own change sets the parameter."""
    if control.value != value:
        control.value = value
