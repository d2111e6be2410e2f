# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Write the reference of the parameters from their descriptions in the code."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from trt_detector.parameter_spec import ParameterSpec

__all__ = ['write_parameters']


def write_parameters() -> str:
    """Write one section of Markdown per parameter."""
    from trt_detector.config import parameter_specs

    return '\n'.join(_write(spec) for spec in parameter_specs())


def _write(spec: ParameterSpec) -> str:
    """Write the section of one parameter."""
    rows = [f'Type: {spec.type_words}', f'Default: {_show(spec.default)}']
    if spec.choices:
        rows.append('One of: ' + ', '.join(f'`{choice}`' for choice in spec.choices))
    elif spec.minimum is not None:
        limit = 'or more' if spec.maximum is None else f'to {spec.maximum:.10g}'
        rows.append(f'Range: {spec.minimum:.10g} {limit}')
    if spec.unit:
        rows.append(f'Unit: {spec.unit}')
    if spec.live:
        rows.append('Changes while the node is active')
    facts = '\n'.join(f'- {row}' for row in rows)
    meaning = spec.meaning.replace('*', r'\*').replace('<', r'\<')
    return f'## `{spec.name}`\n\n{meaning}\n\n{facts}\n'


def _show(value: Any) -> str:
    """Show a default as YAML has it."""
    if value in ('', ()):
        return 'empty'
    if isinstance(value, tuple):
        return f'`[{", ".join(map(str, value))}]`'
    return f'`{str(value).lower() if isinstance(value, bool) else value}`'
