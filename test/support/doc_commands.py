# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Commands in the pages of the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import re

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    ROOT / 'QUALITY_DECLARATION.md',
    ROOT / 'docker' / 'README.md',
    ROOT / 'demo' / 'README.md',
    *sorted(path for path in (ROOT / 'docs').rglob('*.md') if path.parent.name != 'project'),
)
_FENCE = re.compile(r'^```(\S*)$')
# Indented lines that are no commands: YAML and JSON.
_DATA = re.compile(r'[/\w*]+:( |$)|[\[{"]')


@dataclass(frozen=True, slots=True)
class Command:
    """
    One command of a page.

    :param page: path of the page in the repository.
    :param line: number of its first line.
    :param text: command without comment and line breaks.
    :param needs: hardware or software that the paragraph before it says it needs, '' for none.
    """

    page: str
    line: int
    text: str
    needs: str


def list_commands() -> list[Command]:
    """List the commands of all pages: lines that are indented, or in a fence of bash."""
    return [command for page in PAGES for command in _read(page)]


def _read(page: Path) -> list[Command]:
    """Read the commands of one page."""
    found: list[Command] = []
    language: str | None = None
    paragraph: list[str] = []
    joined, start, is_new_paragraph = '', 0, True
    for number, line in enumerate(page.read_text(encoding='utf-8').splitlines(), start=1):
        fence = _FENCE.match(line)
        if fence:
            language = None if language is not None else fence[1]
            continue
        is_code = line.startswith('    ') if language is None else language == 'bash'
        if not is_code or not line.strip():
            if line.strip() and language is None:
                paragraph = [line] if is_new_paragraph else [*paragraph, line]
            is_new_paragraph = not line.strip()
            continue
        start = start if joined else number
        joined += line.strip()
        if joined.endswith('\\'):
            joined = joined[:-1]
            continue
        text = re.sub(r'\s+#\s.*$', '', joined).strip()
        needs = re.search(r'Needs:? (.*?)(?:\.$|\.\s|$)', ' '.join(paragraph))
        if text and not text.startswith('#') and not _DATA.match(text):
            path = page.relative_to(ROOT).as_posix()
            found.append(Command(path, start, text, needs[1] if needs else ''))
        joined = ''
    return found
