#!/usr/bin/env python3
"""The sizes a file, header, function and line may have."""

import re

from sources import finish, lines_of, source_files

FILE, HEADER, FUNCTION, COLUMNS = 400, 150, 60, 100
TEST_HEADER = 200  # Helpers of tests hold their code; kernel templates (FILE) have to.

# Larger files: what each may grow to, and why.
FILES = {
    "ir/op.h": (230, "an operator's record is one page: all that netc knows of it"),
    "ir/kernel.h": (180, "the closed set of expressions and statements with their builders"),
}

# Longer functions, by "file: first line".
FUNCTIONS = {
}

# What opens a block at the start of a line and is no function.
OTHER = re.compile(r"(namespace|class|struct|enum|union|extern \"C\" \{|template <.*> (class|struct)|"
                   r"#|//|\}|public|private|protected|using|typedef)")


def functions(lines, indent=""):
    """(first line number, length, first line) of each function at this indentation."""
    start = None
    for number, line in enumerate(lines, 1):
        body = line[len(indent):]
        if not line.startswith(indent) or not body or body[0] == " ":
            continue
        if start and body.startswith("}"):
            if body == "}":
                yield start, number - start + 1, lines[start - 1].strip()
            start = None
        elif OTHER.match(body) or body.endswith((";", "{}", "}")):
            start = None
        elif body[0] not in "})" and start is None:
            start = number


def outside_raw_strings(lines):
    """(number, line) of the lines that hold no part of a raw string: those are as they must be."""
    end = None
    for number, line in enumerate(lines, 1):
        opened = re.search(r'R"(\w*~?)\(', line)
        if end is None and opened:
            end = f'){opened.group(1)}"'
            line_after = line[opened.end():]
        elif end is None:
            yield number, line
            continue
        else:
            line_after = line
        if end in line_after:
            end = None


def check_file(path, lines, problems):
    limit = HEADER if path.suffix == ".h" else FILE
    if path.parts[0] == "tests":
        limit = max(limit, TEST_HEADER)
    if path.parts[:2] == ("codegen", "device"):
        limit = FILE
    allowed, _ = FILES.get(str(path), (limit, ""))
    length = len(lines) - (lines[-1] == "")
    if length > allowed:
        problems.append(f"{path}: {length} lines, at most {allowed}")
    for number, line in outside_raw_strings(lines):
        if len(line) > COLUMNS:
            problems.append(f"{path}:{number}: {len(line)} columns, at most {COLUMNS}")
    for indent in ("", "  "):
        for number, length, first in functions(lines, indent):
            if length > FUNCTIONS.get(f"{path}: {first}", (FUNCTION, ""))[0]:
                problems.append(f"{path}:{number}: a function of {length} lines, at most "
                                f"{FUNCTION}: {first}")


def check_exceptions(files, problems):
    """An exception that nothing needs any more goes."""
    known = {str(path) for path in files}
    for path in FILES:
        if path not in known:
            problems.append(f"tests/checks/sizes.py: there is no {path}")


if __name__ == "__main__":
    found = []
    paths = source_files()
    for source in paths:
        check_file(source, lines_of(source), found)
    check_exceptions(paths, found)
    finish(found, f"sizes of {len(paths)} files")
