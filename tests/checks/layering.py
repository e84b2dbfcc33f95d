#!/usr/bin/env python3
"""The walls between the folders: who may include, and link, whom."""

import re

from sources import ROOT, ROOMS, finish, lines_of, source_files

# What each room sees. `tests` sees everything.
SEES = {
    "ir": {"ir"},
    "frontend": {"frontend", "ir"},
    "passes": {"passes", "ir"},
    "codegen": {"codegen", "ir"},
    "runtime": {"runtime", "ir"},
    "tools": {"tools", "ir", "frontend", "passes", "codegen", "runtime"},
    "tests": set(ROOMS),
}

# A compiled plan runs without parser, passes and compiler, so the runtime knows this much of ir.
RUNTIME_SEES = re.compile(
    r"ir/(support/\w+|dtype|sharding|exchange|program|plan|recipe|target|\w+_abi)\.h"
)

# Compiled into kernels as they are: these include each other and nothing else.
DEVICE = re.compile(r"codegen/device/.*|ir/(kernel|emulator)_abi\.h|ir/support/philox\.h")

# Written by CMake into the build folder.
GENERATED = {"ir/ops.h", "ir/op_table.inc", "codegen/device_files.inc", "tools/models.inc",
             "tools/machines.inc", "tools/report.css.inc", "tools/report.js.inc"}

INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')


def check_include(path, room, kind, target):
    """The reason why `path` must not include `target`, or None."""
    if DEVICE.fullmatch(str(path)):
        if kind == "<" or not DEVICE.fullmatch(target):
            return f"kernels include codegen/device, the ABIs and philox.h only, not {target}"
        if not (ROOT / target).is_file():
            return f"there is no {target}"
        return None
    if kind == "<":
        return None
    owner = target.split("/")[0]
    if owner not in ROOMS:
        return f'includes are rooted at the repository ("ir/graph.h"), not "{target}"'
    if not (ROOT / target).is_file() and target not in GENERATED:
        return f"there is no {target}"
    if owner not in SEES[room]:
        return f"{room}/ must not include {owner}/ ({target})"
    if room == "runtime" and owner == "ir" and not RUNTIME_SEES.fullmatch(target):
        return f"the runtime knows support, dtype, program, plan, recipe, target, ABIs; not {target}"
    return None


def check_includes(problems):
    files = source_files()
    for path in files:
        for number, line in enumerate(lines_of(path), 1):
            match = INCLUDE.match(line)
            reason = match and check_include(path, path.parts[0], *match.groups())
            if reason:
                problems.append(f"{path}:{number}: {reason}")
    return len(files)


def check_links(problems):
    for room, seen in SEES.items():
        if room in ("tools", "tests"):
            continue
        text = (ROOT / room / "CMakeLists.txt").read_text(encoding="utf-8")
        for linked in sorted(set(re.findall(r"\bnetc_(\w+)\b(?!\()", text)) - seen):
            problems.append(f"{room}/CMakeLists.txt: {room} must not link netc_{linked}")


if __name__ == "__main__":
    found = []
    count = check_includes(found)
    check_links(found)
    finish(found, f"layering of {count} files")
