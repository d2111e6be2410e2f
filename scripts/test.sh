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
usage: scripts/test.sh [--coverage] [--workers N] [--with-ros-sources DIR] [-- PYTEST_ARGUMENT...]

Prepares the environment (bringup/prepare.sh --with test --with docs --with dashboard) and runs lint,
types and tests with colcon.
The last line has the numbers of passed, failed and skipped tests; the exit status is 0 only if some
passed and none failed.

  scripts/test.sh                                      everything
  scripts/test.sh -- test/test_package.py -x           one file, stop at the first failure
  scripts/test.sh -- -k letterbox -v                   tests with letterbox in the name

  --coverage               measure lines and branches of trt_detector/, also in child processes, and
                           print them per file
  --workers N              run the test files in N processes
  --with-ros-sources DIR   also run the tests of the launch files on a machine without ROS 2, with
                           launch and launch_ros imported from checkouts of ros2/launch and
                           ros2/launch_ros in DIR
TEXT
}

options=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --help | -h)
      usage
      exit
      ;;
    --coverage)
      options+=(--cov --cov-config=pyproject.toml --cov-report=term:skip-covered)
      shift
      ;;
    --workers)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "--workers takes a number of processes, not '${2:-}'."
      options+=("--numprocesses=$2" --dist=loadfile)
      shift 2
      ;;
    --with-ros-sources)
      [[ -d ${2:-} ]] || die "--with-ros-sources takes a folder with checkouts, not '${2:-}'."
      TRT_DETECTOR_ROS_SOURCES=$(cd "$2" && pwd -P)
      export TRT_DETECTOR_ROS_SOURCES
      shift 2
      ;;
    --)
      shift
      break
      ;;
    *)
      usage >&2
      die '' "unknown argument '$1': arguments for pytest come after --"
      ;;
  esac
done

cd "$repository"
bringup/prepare.sh --with test --with docs --with dashboard
# shellcheck source=bringup/env.sh
source bringup/env.sh

# A folder of its own, so that two runs at once do not read each other's results.
results=$prefix/test_results/$$
rm -rf "$results"
say ''
# Each line of pytest is shown as it is printed.
export PYTHONUNBUFFERED=1
export COVERAGE_FILE=$results/.coverage
status=0
"${colcon[@]}" test --base-paths . --packages-select trt_detector \
  --build-base "$build_base" --install-base "$install_base" --test-result-base "$results" \
  --event-handlers console_direct+ --return-code-on-test-failure \
  --pytest-args "${options[@]}" "$@" </dev/null || status=$?
say ''
"${colcon[@]}" test-result --verbose --test-result-base "$results" || status=1
"$venv_python" scripts/count_tests.py "$results/trt_detector/pytest.xml" || status=1
exit "$status"
