#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Compile the .cu files of trt_detector/gpu/kernels/ to PTX with nvcc 13.0."""

from __future__ import annotations

import argparse
from pathlib import Path
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trt_detector.gpu.kernels.source import (
    ARCHITECTURE,
    CANDIDATES,
    KernelSource,
    LETTERBOX,
    PTX_VERSION,
)

COMMAND = ['nvcc', '--ptx', f'--gpu-architecture={ARCHITECTURE}']


def main() -> int:
    """Write the PTX files, or compare them (--check) and return 1 if one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='compare only, write nothing')
    arguments = parser.parse_args()
    differ = 0
    for source in (LETTERBOX, CANDIDATES):
        text = compile_ptx(source)
        if not arguments.check:
            source.ptx_path.write_text(text, encoding='ascii')
            continue
        same = source.ptx_path.read_text(encoding='ascii') == text
        differ += not same
        state = 'up to date' if same else 'out of date: run scripts/compile_kernel.py'
        print(f'{source.ptx_path.name} is {state}')
    return 1 if differ else 0


def compile_ptx(source: KernelSource) -> str:
    """Compile a source to the shipped PTX: a header with its origin, then the output of nvcc."""
    command = [*COMMAND, source.source_path.name]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / 'kernel.ptx'
        subprocess.run(
            [*command, '--output-file', output], cwd=source.source_path.parent, check=True
        )
        made = output.read_text(encoding='ascii')
    own = re.search(r'^\.version (\S+)$', made, re.MULTILINE)
    if own is None:
        raise ValueError('nvcc wrote PTX without a version')
    head = [
        '// Copyright 2026 The trt_detector Authors',
        '// SPDX-License-Identifier: Apache-2.0',
        '//',
        f'// Made by scripts/compile_kernel.py: {" ".join(command)}',
        f'// SHA-256 of {source.source_path.name} without comments: {source.digest()}',
        f'// The PTX version was {own.group(1)}; older drivers take {PTX_VERSION}.',
        '',
    ]
    lowered = made.replace(own.group(0), f'.version {PTX_VERSION}', 1)
    # A hint about the loads after it, which older versions do not know.
    lowered = re.sub(r'^\s*\.pragma "used_bytes_mask [^"]*";\n', '', lowered, flags=re.MULTILINE)
    return '\n'.join(head) + lowered.strip('\0')


if __name__ == '__main__':
    sys.exit(main())
