#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Collect the results of training, export and evaluation in one file, figures.json."""

import argparse
import json
from pathlib import Path
from typing import Any

import splits

__all__ = ['main', 'record']


def _seeds() -> dict[str, dict[str, int]]:
    return {
        name.removesuffix('_SEEDS').lower(): {'first': seeds.start, 'last': seeds.stop - 1}
        for name in splits.__all__
        for seeds in [getattr(splits, name)]
    }


def record(folder: Path) -> dict[str, Any]:
    """Return the figures in `folder`: training.json, export.json, end2end.json and raw.json."""

    def load(name: str) -> Any:
        return json.loads((folder / f'{name}.json').read_text())

    return {
        'seeds': _seeds(),
        'training': load('training'),
        'export': load('export'),
        'test': {name: load(name) for name in ('end2end', 'raw')},
    }


def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, required=True, help='folder with the parts')
    parser.add_argument('--out', type=Path, default=Path(__file__).parent / 'figures.json')
    options = parser.parse_args()
    options.out.write_text(json.dumps(record(options.folder), indent=1) + '\n')


if __name__ == '__main__':
    main()
