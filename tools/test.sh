#!/usr/bin/env bash
set -euo pipefail

usage='usage: tools/test.sh [--slow]
Installs what is missing, builds netc in build/ and runs every test that this machine can run.
  --slow   with the tests that take many minutes'
preset=release
case "$*" in
"") ;;
--slow) preset=slow ;;
-h | --help)
  echo "$usage"
  exit
  ;;
*)
  printf 'error: unexpected `%s`\n%s\n' "$*" "$usage" >&2
  exit 1
  ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/install_packages.sh build test
launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
cmake --preset release -DNETC_TESTS=ON "${launcher[@]}" >/dev/null
cmake --build --preset release
ctest --preset $preset -j "$(nproc)" </dev/null
