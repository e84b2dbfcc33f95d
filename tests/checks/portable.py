#!/usr/bin/env python3
"""usage: portable.py BINARY_DIR: whether the programs of a portable build run on other machines."""

import pathlib
import re
import subprocess
import sys

from sources import finish

# Parts of glibc, which every Linux machine has.
ALLOWED = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1",
           "ld-linux-x86-64.so.2"}
MEGABYTES = 50  # of all programs together


def readelf(option, program):
    return subprocess.run(["readelf", "-W", option, program], check=True, capture_output=True,
                          text=True).stdout


def check_program(program, problems):
    dynamic = readelf("-d", program)
    for library in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
        if library not in ALLOWED:
            problems.append(f"{program.name} needs {library}")
    for path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic):
        problems.append(f"{program.name} looks for libraries in {path}")
    if ".symtab" in readelf("-S", program):
        problems.append(f"{program.name} is not stripped")


def required_glibc(programs):
    """The oldest glibc that has all symbols the programs ask for."""
    versions = [tuple(map(int, version.split(".")))
                for program in programs
                for version in re.findall(r"Name: GLIBC_([\d.]+)", readelf("-V", program))]
    return ".".join(map(str, max(versions)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    binaries = sorted(path for path in (pathlib.Path(sys.argv[1]) / "bin").iterdir()
                      if path.is_file())
    found = []
    for binary in binaries:
        check_program(binary, found)
    megabytes = sum(binary.stat().st_size for binary in binaries) / 1e6
    if megabytes >= MEGABYTES:
        found.append(f"the programs have {megabytes:.1f} MB, at most {MEGABYTES}")
    finish(found, f"{len(binaries)} programs, {megabytes:.1f} MB, which need glibc "
                  f"{required_glibc(binaries)} or newer")
