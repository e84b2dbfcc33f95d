#!/bin/sh
# Whether clang-format 14 would change nothing; `--fix` lets it change what it wants.
cd "$(dirname "$0")/../.." || exit 1
format=clang-format-14
command -v $format >/dev/null || format=clang-format
if ! $format --version 2>/dev/null | grep -q 'version 14\.'; then
  echo "skipped: no clang-format 14 on this machine"
  exit 77
fi
files=$(find ir frontend passes codegen runtime tools tests -name '*.h' -o -name '*.cpp')
if [ "$1" = --fix ]; then
  $format -i $files
  exit
fi
places=$($format --dry-run $files 2>&1 | grep 'code should be clang-formatted' | cut -d: -f1 | uniq -c)
if [ -n "$places" ]; then
  echo "$places"
  echo "lines to format in the files above; tests/checks/format.sh --fix does it"
  exit 1
fi
echo "format of $(echo "$files" | wc -l) files: all well"
