#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Make trt_detector/gpu/letterbox.ptx from letterbox.cu with nvcc 13.0."""

from __future__ import annotations

import argparse
from pathlib import Path
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trt_detector.gpu.letterbox_source import (
    ARCHITECTURE,
    PTX_PATH,
    PTX_VERSION,
    source_digest,
    SOURCE_PATH,
)

COMMAND = ['nvcc', '--ptx', f'--gpu-architecture={ARCHITECTURE}', SOURCE_PATH.name]


def main() -> int:
    """Write the PTX, or compare it with --check; return 1 if it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='write nothing, compare')
    arguments = parser.parse_args()
    text = compile_ptx()
    if not arguments.check:
        PTX_PATH.write_text(text, encoding='ascii')
        return 0
    same = PTX_PATH.read_text(encoding='ascii') == text
    print(f'{PTX_PATH.name} is {"up to date" if same else "not what nvcc makes of the source"}')
    return 0 if same else 1


def compile_ptx() -> str:
    """Return the PTX as it is shipped: what it was made from, then nvcc's output."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / 'letterbox.ptx'
        subprocess.run([*COMMAND, '--output-file', output], cwd=SOURCE_PATH.parent, check=True)
        made = output.read_text(encoding='ascii')
    own = re.search(r'^\.version (\S+)$', made, re.MULTILINE)
    if own is None:
        raise ValueError('nvcc wrote PTX without a version')
    head = [
        '// Copyright 2026 The trt_detector Authors',
        '// SPDX-License-Identifier: Apache-2.0',
        '//',
        f'// Made by scripts/compile_kernel.py: {" ".join(COMMAND)}',
        f'// SHA-256 of {SOURCE_PATH.name}: {source_digest()}',
        f'// The PTX version was {own.group(1)}; older drivers take {PTX_VERSION}.',
        '',
    ]
    lowered = made.replace(own.group(0), f'.version {PTX_VERSION}', 1)
    return '\n'.join(head) + lowered.strip('\0')


if __name__ == '__main__':
    sys.exit(main())
