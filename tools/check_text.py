#!/usr/bin/env python3
"""Checks without compiling: unfinished work, paths of one machine, long files, and the size of the tree. The library must
name fields, not options of the command line.

Prints one line per violation; exit status 1 if there is any. A file with more than 400 lines (the target) gives a note, one
with more than 600 lines is a violation.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT_BYTES = 40 * 1024 * 1024
TARGET_LINES, MOST_LINES = 400, 600

# The words are split, so that this file does not contain them.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|not imple" r"mented|unimple" r"mented)\b")
MACHINE_PATHS = re.compile(r"(/(work|farm|home|root)/[a-z.]|/(tmp)/[a-z])")
# A flag in a text of the library. The list of fields has them, the benchmark of kernels is a separate program, and the
# command that fetches a model belongs to another program.
FLAG = re.compile(r'"[^"]*--[a-z]')
FLAGS_ALLOWED = ("src/pipeline/request_fields.cpp", "src/backend/cpu/kernels/bench.cpp",
                 "src/source/catalog/hub_cache.cpp")
FIELD_NAME = re.compile(r'FieldName\{"(\w+)"\}')
CODE = (".h", ".cpp", ".cu", ".cuh", ".py", ".sh", ".mjs", ".cmake")


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [name.decode() for name in listed.split(b"\0") if name and (ROOT / name.decode()).is_file()]


def messages(name, lines, fields):
    """Lines of a library file that name options of the command line, or fields that do not exist."""
    if not name.startswith(("src/", "include/")) or name.endswith("_test.cpp") or name in FLAGS_ALLOWED:
        return
    for number, line in enumerate(lines, 1):
        if FLAG.search(line.split("//")[0]):
            yield f"{name}:{number}: names an option of the command line, name the field: {line.strip()}"
        for field in FIELD_NAME.findall(line):
            if field not in fields:
                yield f"{name}:{number}: no field in include/tempera is called {field}"


def main():
    violations = []
    fields = set()
    for header in ("request.h", "bench.h", "tempera.h"):
        fields.update(re.findall(r"\w+", (ROOT / "include/tempera" / header).read_text()))
    total = 0
    for name in tracked():
        data = (ROOT / name).read_bytes()
        total += len(data)
        if b"\0" in data or name == "LICENSE" or name.startswith(("tests/data/", "models/")):
            continue
        lines = data.decode(errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            if UNFINISHED.search(line):
                violations.append(f"{name}:{number}: says that it is unfinished: {line.strip()}")
            if MACHINE_PATHS.search(line):
                violations.append(f"{name}:{number}: a path of one machine: {line.strip()}")
        violations += messages(name, lines, fields)
        if name.endswith(CODE):
            if len(lines) > MOST_LINES:
                violations.append(f"{name}: {len(lines)} lines; split a file that has two ideas")
            elif len(lines) > TARGET_LINES:
                print(f"note: {name}: {len(lines)} lines, the target is {TARGET_LINES}")
    if total > LIMIT_BYTES:
        violations.append(f"the tree has {total / 2**20:.1f} MiB; the limit is {LIMIT_BYTES >> 20}")
    print("\n".join(violations), end="\n" if violations else "")
    print(f"check_text: {total / 2**20:.1f} MiB, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
