#!/usr/bin/env python3
"""Checks the includes: the layers of docs/ARCHITECTURE.md, and vendors' headers only in their folders.

A folder may include itself, the folders in its row of the table, the standard library, and its third-party headers.
Tests (files ending in _test.cpp, and everything under tests/) may include any of our folders, but vendors' headers only
where the code may. Prints one line per violation; exit status 1 if there is any.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Folder (of src/, or a top folder) -> other folders of src/ that it may include.
LAYERS = {
    "base": [],
    "weights": ["base"],
    "adapters": ["weights", "base"],
    "text": ["base"],
    "image": ["base"],
    "sampling": ["base"],
    "ir": ["base"],
    "models": ["ir", "base"],
    "passes": ["ir", "base"],
    "program": ["passes", "ir", "base"],
    "backend": ["program", "ir", "base"],
    "backend/reference": ["backend", "program", "ir", "base"],
    "backend/cpu": ["backend", "program", "ir", "base"],
    "backend/cuda": ["backend", "program", "ir", "base"],
    "runtime": ["program", "backend", "weights", "ir", "base"],
    "source": ["adapters", "weights", "models", "sampling", "ir", "base"],
    "convert": ["source", "adapters", "weights", "text", "sampling", "models", "ir", "base"],
    "pipeline": ["source", "adapters", "weights", "text", "image", "sampling", "ir", "models", "passes", "program", "backend",
                 "runtime", "base"],
    "measure": ["pipeline", "source", "adapters", "weights", "sampling", "ir", "models", "program", "backend", "runtime", "base"],
    "apps": [],
}

# Folder of a layer -> neighbours that it may not include. Code that both need is in neither.
APART = {
    "backend/cpu/kernels": ["backend/cpu/onednn"],
    "backend/cpu/onednn": ["backend/cpu/kernels"],
    "backend/cpu/packing": ["backend/cpu/kernels", "backend/cpu/onednn"],
}

# The only headers of the backends that pipeline and measure include: the functions that make a backend, CUDA's kernel
# table (for plans without a card), and the file of CUDA's choices.
GRANTED_HEADERS = {
    "pipeline": ["backend/cpu/cpu.h", "backend/cuda/cuda.h", "backend/cuda/table.h", "backend/reference/reference.h"],
    "measure": ["backend/cuda/tuning_file.h"],
}

# The public interface uses only the standard library. base/error.h and base/log.h make its names available in src/.
# runtime fills the structures of tempera/bench.h.
PUBLIC_USERS = ["base", "runtime", "source", "convert", "pipeline", "measure", "apps", "include"]

# Vendor header (prefix) -> path prefixes that may include it.
VENDORS = {
    "oneapi/dnnl": ["src/backend/cpu/onednn/"],
    "dnnl": ["src/backend/cpu/onednn/"],
    "hwy/": ["src/backend/cpu/"],
    "cuda": ["src/backend/cuda/"],
    "cudnn": ["src/backend/cuda/"],
    "cublas": ["src/backend/cuda/"],
    "omp.h": ["src/base/", "src/backend/cpu/", "tests/threads/"],
    "png.h": ["src/image/"],
    "jpeglib.h": ["src/image/"],
    "jerror.h": ["src/image/"],
    "webp/": ["src/image/"],
    "lcms2.h": ["src/image/"],
    "zlib.h": ["src/image/", "tests/fuzz/"],
    "utf8proc.h": ["src/text/"],
    "sqlite3.h": ["src/source/catalog/"],
    "nettle/": ["src/source/catalog/"],
    "CLI/": ["apps/"],
    "gtest/": ["tests/", "_test.cpp", "_fixture.h"],
    "gmock/": ["tests/", "_test.cpp", "_fixture.h"],
    "benchmark/": ["_bench.cpp"],
    "fmt/": ["src/", "apps/", "tests/"],
    "nlohmann/": ["src/", "apps/", "tests/"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
STANDARD = re.compile(r"^[a-z_0-9]+(\.h)?$")
SYSTEM = re.compile(r"^((sys|linux)/[a-z]+\.h|[a-z_0-9]+intrin\.h|cpuid\.h)$")


def sources():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "src", "apps", "include", "tests"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    wanted = (".h", ".cpp", ".cu", ".cuh", ".hpp")
    return [name for name in listed if name.endswith(wanted) and (ROOT / name).exists()]


def layer_of(name):
    parts = name.split("/")
    if parts[0] != "src":
        return parts[0]
    if parts[1] == "backend" and len(parts) > 3:
        return "/".join(parts[1:3])
    return parts[1]


def layer_of_include(header):
    parts = header.split("/")
    if parts[0] == "backend" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def is_test(name):
    return name.endswith("_test.cpp") or name.startswith("tests/")


def check_own(name, header):
    """The reason why file `name` may not include our own `header`, or None."""
    layer = layer_of(name)
    if header.startswith("tempera/"):
        if layer in PUBLIC_USERS or is_test(name):
            return None
        return "this folder is below the public interface: include base/ instead"
    if "/" not in header or (ROOT / name).parent.joinpath(header).exists():
        return None  # in the same folder
    target = layer_of_include(header)
    if not (ROOT / "src" / header).exists():
        return None if is_test(name) else "no such file in src/"
    folder, other = name.rpartition("/")[0].removeprefix("src/"), header.rpartition("/")[0]
    if not is_test(name) and other in APART.get(folder, []):
        return f"{folder} does not include {other}"
    if is_test(name) or target == layer or header in GRANTED_HEADERS.get(layer, []):
        return None
    if target in LAYERS.get(layer, []):
        return None
    return f"{layer} may include only {', '.join(LAYERS.get(layer, [])) or 'the standard library'}"


def check_vendor(name, header):
    for prefix, allowed in VENDORS.items():
        if header.startswith(prefix):
            if any(name.startswith(place) or name.endswith(place) for place in allowed):
                break
            return f"belongs in {', '.join(allowed)}"
    else:
        if not STANDARD.match(header) and not SYSTEM.match(header) and "/" in header:
            return "the third-party header is not in the table of tools/check_includes.py"
        return None
    if header == "nlohmann/json.hpp" and name.startswith("src/") and name.endswith(".h"):
        return "slow to compile: include nlohmann/json_fwd.hpp in headers"
    return None


def main():
    violations = 0
    names = sources()
    for name in names:
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            kind, header = match.groups()
            own = kind == '"' and not header.startswith(("hwy/", "dnnl", "oneapi/"))
            wrong = check_own(name, header) if own else check_vendor(name, header)
            if wrong:
                violations += 1
                print(f"{name}:{number}: includes {header}: {wrong}")
            if name.startswith("include/") and not own and not STANDARD.match(header):
                violations += 1
                print(f"{name}:{number}: includes {header}: the public interface may include only the standard library")
    print(f"check_includes: {len(names)} files, {violations} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
