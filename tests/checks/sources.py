"""The source files of the tree, and how a check reports: shared by the scripts beside it."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("ir", "frontend", "passes", "codegen", "runtime", "tools", "tests")
SUFFIXES = {".h", ".cpp", ".cu"}


def source_files(*rooms):
    """Paths below the root, sorted: the C++ files of the rooms (default: of all)."""
    return sorted(path.relative_to(ROOT) for room in rooms or ROOMS
                  for path in (ROOT / room).rglob("*")
                  if path.suffix in SUFFIXES and path.is_file())


def lines_of(path):
    return (ROOT / path).read_text(encoding="utf-8").split("\n")


def finish(problems, checked):
    """Prints what was found and ends the process: 0 when nothing was."""
    for problem in problems:
        print(problem)
    print(f"{checked}: " + (f"{len(problems)} problem(s)" if problems else "all well"))
    sys.exit(1 if problems else 0)
