#!/bin/sh
# clang-tidy with the checks of .clang-tidy: tidy.sh BUILD_FOLDER [FILE...] (default: all sources).
# The build folder holds compile_commands.json of a finished build.
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
build=$(cd "$1" && pwd) || exit 1
shift
cd "$root" || exit 1
if ! command -v clang-tidy >/dev/null; then
  echo "skipped: no clang-tidy on this machine"
  exit 77
fi
[ $# -gt 0 ] || set -- $(find ir frontend passes codegen runtime tools -name '*.cpp' \
  -not -path 'tools/bench/*' | sort)
# Headers that g++ has precompiled are none to clang: without them, each file names all it needs.
commands=$(mktemp -d) || exit 1
trap 'rm -rf "$commands"' EXIT
trap 'exit 130' INT TERM
sed -e 's/ -Winvalid-pch -include [^ ]*cmake_pch.hxx//' \
  -e 's/ -Xclang -include\(-pch\)\? -Xclang [^ ]*cmake_pch.hxx\(.pch\)\?//g' \
  "$build/compile_commands.json" >"$commands/compile_commands.json" || exit 1
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 clang-tidy -p "$commands" --quiet 2>/dev/null
status=$?
[ $status = 0 ] && echo "clang-tidy of $# files: all well"
exit $status
