#!/usr/bin/env python3
"""usage: portable.py BINARY_DIR [--without-gpu]
Whether the programs of a portable build run on other machines; with --without-gpu, whether those of
any build run where no driver is: they need none of NVIDIA's libraries to start."""

import pathlib
import re
import subprocess
import sys

from sources import finish

# Parts of glibc, which every Linux machine has.
ALLOWED = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1",
           "ld-linux-x86-64.so.2"}
MEGABYTES = 50  # of all programs together
NVIDIAS = re.compile(r"lib(cu|nv)")


def readelf(option, program):
    return subprocess.run(["readelf", "-W", option, program], check=True, capture_output=True,
                          text=True).stdout


def needed_libraries(program):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("-d", program))


def check_program(program, problems):
    for library in needed_libraries(program):
        if library not in ALLOWED:
            problems.append(f"{program.name} needs {library}")
    for path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", readelf("-d", program)):
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
    without_gpu = sys.argv[2:] == ["--without-gpu"]
    if len(sys.argv) != 2 and not without_gpu:
        sys.exit(__doc__)
    binaries = sorted(path for path in (pathlib.Path(sys.argv[1]) / "bin").iterdir()
                      if path.is_file())
    found = []
    if without_gpu:
        found = [f"{binary.name} needs {library}" for binary in binaries
                 for library in needed_libraries(binary) if NVIDIAS.match(library)]
        finish(found, f"{len(binaries)} programs, which start without a GPU's driver")
    for binary in binaries:
        check_program(binary, found)
    megabytes = sum(binary.stat().st_size for binary in binaries) / 1e6
    if megabytes >= MEGABYTES:
        found.append(f"the programs have {megabytes:.1f} MB, at most {MEGABYTES}")
    finish(found, f"{len(binaries)} programs, {megabytes:.1f} MB, which need glibc "
                  f"{required_glibc(binaries)} or newer")
