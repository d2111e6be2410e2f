# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Fuzz one target with atheris: `python3 -m fuzz.worker TARGET FAULTS LIBFUZZER_ARGUMENT...`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
import resource
import sys
import time
import traceback

import atheris

SLOW_SECONDS = 2.0
MEMORY_BYTES = 3 << 30
# Of one fault only the first inputs are kept.
KEPT_PER_FAULT = 3


class _Faults:
    """
    Inputs that broke a rule, one file per fault.

    :param folder: receives the inputs and, beside them, the traceback.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A process that went on from a former one goes on with its counts.
        counts = folder / 'counts.json'
        self._counts: dict[str, int] = json.loads(counts.read_text()) if counts.is_file() else {}

    def add(self, data: bytes, kind: str, text: str) -> None:
        """Keep an input, if its fault is not kept already."""
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if count <= KEPT_PER_FAULT:
            stem = hashlib.sha256(data).hexdigest()[:12]
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / stem).write_bytes(data)
            (self._folder / f'{stem}.txt').write_text(f'{kind}\n{text}', errors='replace')
            (self._folder / 'counts.json').write_text(json.dumps(self._counts, indent=2))


def _describe(error: BaseException) -> str:
    """Name an error and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if 'trt_detector/' in frame.filename]
    lines = dict.fromkeys(f'{Path(f.filename).name}:{f.lineno}' for f in [*own[-1:], frames[-1]])
    return f'{type(error).__name__} at {" ".join(lines)}'


def main() -> None:
    """Run until the time is over."""
    target, folder, *arguments = sys.argv[1:]
    faults = _Faults(Path(folder))
    with atheris.instrument_imports(include=['trt_detector']):
        from fuzz.targets import TARGETS
    check = TARGETS[target]
    import cv2

    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

    def test_one_input(data: bytes) -> None:
        started = time.process_time()
        try:
            check(data)
        except Exception as error:
            faults.add(data, _describe(error), ''.join(traceback.format_exception(error)))
        seconds = time.process_time() - started
        if seconds > SLOW_SECONDS:
            faults.add(data, 'slow', f'{seconds:.1f} s of CPU time')

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    atheris.Setup([sys.argv[0], *arguments], test_one_input, internal_libfuzzer=True)
    atheris.Fuzz()


if __name__ == '__main__':
    main()
