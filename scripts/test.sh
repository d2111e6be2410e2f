#!/usr/bin/env bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs all checks and tests: see --help.

set -euo pipefail
# shellcheck source=bringup/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../bringup/lib.sh"

usage() {
  cat <<'TEXT'
usage: scripts/test.sh [-- PYTEST_ARGUMENT...]

Prepares the environment (bringup/prepare.sh --with test) and runs lint, types and tests with colcon.
The last line has the numbers of passed, failed and skipped tests; the exit status is 0 only if some
passed and none failed.

  scripts/test.sh                                      everything
  scripts/test.sh -- test/test_package.py -x           one file, stop at the first failure
  scripts/test.sh -- -k letterbox -v                   tests with letterbox in the name
TEXT
}

case ${1:-} in
  --help | -h)
    usage
    exit
    ;;
  --) shift ;;
  '') ;;
  *)
    usage >&2
    die '' "unknown argument '$1': arguments for pytest come after --"
    ;;
esac

cd "$repository"
bringup/prepare.sh --with test
# shellcheck source=bringup/env.sh
source bringup/env.sh

# A folder of its own, so that two runs at once do not read each other's results.
results=$prefix/test_results/$$
rm -rf "$results"
say ''
# Each line of pytest is shown as it is printed.
export PYTHONUNBUFFERED=1
status=0
"${colcon[@]}" test --base-paths . --packages-select trt_detector \
  --build-base "$build_base" --install-base "$install_base" --test-result-base "$results" \
  --event-handlers console_direct+ --return-code-on-test-failure \
  --pytest-args "$@" </dev/null || status=$?
say ''
"${colcon[@]}" test-result --verbose --test-result-base "$results" || status=1
"$venv_python" scripts/count_tests.py "$results/trt_detector/pytest.xml" || status=1
exit "$status"
