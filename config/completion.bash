# shellcheck shell=bash
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
#
# Completes the options of the tools in `ros2 run trt_detector TOOL ...`; the completion of ros2 itself ends at the
# name of the tool. Needs python3-argcomplete. Source it after the setup file of the workspace:
#
#     source "$(ros2 pkg prefix --share trt_detector)/config/completion.bash"

_trt_detector_ros2() {
  if [[ $COMP_CWORD -lt 4 || ${COMP_WORDS[1]} != run || ${COMP_WORDS[2]} != trt_detector ]]; then
    [[ -z $_trt_detector_ros2_before ]] || "$_trt_detector_ros2_before" "$@"
    return
  fi
  # The protocol of argcomplete: _ARGCOMPLETE is the position of the program, and file 8 takes the completions.
  mapfile -t COMPREPLY < <(
    export COMP_LINE COMP_POINT COMP_TYPE _ARGCOMPLETE=3 _ARGCOMPLETE_IFS=$'\n'
    export _ARGCOMPLETE_COMP_WORDBREAKS=$COMP_WORDBREAKS
    python3 -m trt_detector 8>&1 9>/dev/null >/dev/null 2>&1
  )
}

: "${_trt_detector_ros2_before:=}"
if [[ $(complete -p ros2 2>/dev/null) =~ \ -F\ ([^ ]+) ]]; then
  [[ ${BASH_REMATCH[1]} == _trt_detector_ros2 ]] || _trt_detector_ros2_before=${BASH_REMATCH[1]}
fi
complete -o nospace -o default -o bashdefault -F _trt_detector_ros2 ros2
