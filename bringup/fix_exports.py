# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Point the CMake exports of the ROS 2 wheels at the Python that runs this script.

The wheels name the include folders of the machine that built them. Running this twice is harmless.
"""

from pathlib import Path
import re
import sys
import sysconfig

import numpy as np

BUILDER = r'/opt/python/cp\d+-cp\d+t?'


def main() -> None:
    """Rewrite all exports under the share folder of this environment."""
    replacements = (
        (
            re.compile(BUILDER + r'/lib/python[\d.]+t?/site-packages/numpy/_?core/include'),
            np.get_include(),
        ),
        (re.compile(BUILDER + r'/include/python[\d.]+t?'), sysconfig.get_path('include')),
    )
    changed = 0
    for path in sorted(Path(sys.prefix, 'share').glob('*/cmake/*.cmake')):
        text = rewritten = path.read_text(encoding='utf-8')
        for pattern, folder in replacements:
            rewritten = pattern.sub(lambda _, folder=folder: folder, rewritten)
        if rewritten != text:
            path.write_text(rewritten, encoding='utf-8')
            changed += 1
        if re.search(BUILDER, rewritten):
            sys.exit(f'{path}: an unknown folder of the builder is left in this export')
    print(f'{changed} exports rewritten')


if __name__ == '__main__':
    main()
