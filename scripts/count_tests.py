# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Print the numbers of passed, failed and skipped tests of a JUnit file.

The exit status is 0 only if some passed and none failed.
"""

from pathlib import Path
import sys
import xml.etree.ElementTree as ET


def count(path: Path) -> tuple[int, int, int]:
    """Return passed, failed (with errors) and skipped; a missing or broken file is one failure."""
    try:
        cases = list(ET.parse(path).getroot().iter('testcase'))
    except (OSError, ET.ParseError) as error:
        print(f'The tests wrote no result: {error}')
        return 0, 1, 0
    failed = sum(1 for case in cases if {'failure', 'error'} & {part.tag for part in case})
    skipped = sum(1 for case in cases if 'skipped' in {part.tag for part in case})
    return len(cases) - failed - skipped, failed, skipped


def main() -> int:
    """Count the file that the command line names."""
    passed, failed, skipped = count(Path(sys.argv[1]))
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 0 if passed and not failed else 1


if __name__ == '__main__':
    sys.exit(main())
