#!/usr/bin/env python3
"""Counts the instructions of small fixed runs under valgrind and compares them with
tests/data/goldens/instructions.json. Unlike seconds, counts do not depend on other work of the machine.

    tools/check_instructions.py [--binary build/dev/bin/tempera] [--update]

Each run has two numbers: tempera's own code, and oneDNN with the code that it generates. Three runs differed by less
than 0.01%, so the tolerance is for other versions of the C library. valgrind shows every program one kind of processor
(AVX2). oneDNN is limited to SSE 4.1, because valgrind needs half a minute to translate its AVX2 kernels.

In two cases the script compares nothing and prints the reason: another compiler or another oneDNN, and a processor on
which valgrind cannot run the program (Highway uses rdtscp without a check).

More work than the golden values allow is an error, and so is less. --update writes the measured values, to be committed
with the change that explains them. Exit status 1 if a run differs, 2 if it cannot be measured.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/data/goldens/instructions.json"
TOLERANCE = 0.02

SMALL = ["--width", "64", "--height", "64", "--steps", "1", "--seed", "1", "--device", "cpu", "--threads", "1"]
RUNS = {
    "generate, fp32": ["generate", "a red apple", *SMALL, "--dtype", "fp32", "--output", "{folder}/a.png"],
    "generate, bf16, streamed": ["generate", "a red apple", *SMALL, "--dtype", "bf16", "--offload", "sequential",
                                 "--output", "{folder}/a.png"],
    "plan of sdxl-base": ["plan", "--preset", "sdxl-base", "--device", "cuda", "--dtype", "fp16", "--listing"],
}


class Unmeasured(Exception):
    pass


class Unknown(Unmeasured):
    """valgrind does not support an instruction that a library uses on this processor."""


def counts_by_object(profile):
    """The instructions of each shared object, without those of callees. Generated code has no object: its name is "???"."""
    names, counts, current, of_call = {}, {}, None, False
    for line in profile.read_text().splitlines():
        if match := re.match(r"(c?)ob=\((\d+)\)(?: (.*))?$", line):
            called, number, name = match.groups()
            if name is not None:
                names[number] = name
            if not called:
                current = names[number]
        elif line.startswith("calls="):
            of_call = True  # the next line is the cost of the callee
        elif re.match(r"[+*\d-]", line):
            fields = line.split()
            if not of_call and len(fields) > 1:
                counts[current] = counts.get(current, 0) + int(fields[1])
            of_call = False
    return counts


def measure(binary, arguments):
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile"
        environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", str(binary),
                   *(a.format(folder=folder) for a in arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            found = re.search(r"Unrecognised instruction.*\n.*?: (.+)", done.stderr)
            if found:
                raise Unknown(f"valgrind does not support an instruction that libraries use on this processor, at {found[1]}")
            raise Unmeasured(f"'{' '.join(command)}' ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        counts = counts_by_object(profile)
    own = sum(n for name, n in counts.items() if name == str(binary))
    onednn = sum(n for name, n in counts.items() if name == "???" or "libdnnl" in name)
    return {"tempera": own, "onednn": onednn}


def made_with(binary):
    """The compiler and the oneDNN of the program, on which the counts depend."""
    build = binary.parent.parent
    for file in build.glob("CMakeFiles/*/CMakeCXXCompiler.cmake"):
        text = file.read_text()
        compiler = " ".join(re.search(rf'set\(CMAKE_CXX_COMPILER_{what} "([^"]*)"\)', text)[1] for what in ("ID", "VERSION"))
        break
    else:
        raise Unmeasured(f"'{binary}' is not in a build folder of CMake: give a built program with --binary")
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.M)[1]
    libraries = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    onednn = re.search(r"libdnnl\S* => (\S+)", libraries)
    version = re.search(r"[\d.]+$", str(Path(onednn[1]).resolve()))[0].strip(".") if onednn else "none"
    return {"compiler": compiler, "build": kind, "oneDNN": version}


def differences(golden, now):
    for run, counts in now.items():
        for whose, count in counts.items():
            before = golden.get(run, {}).get(whose)
            if before is None:
                yield f"{run}: {whose} has no golden value"
            elif abs(count - before) > TOLERANCE * before + 100_000:
                yield f"{run}: {whose} {before} -> {count} ({(count - before) / before if before else 1:+.1%})"
    for run in golden.keys() - now.keys():
        yield f"{run}: is no longer measured"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "build/dev/bin/tempera")
    parser.add_argument("--update", action="store_true", help="write the measured values as the golden values")
    arguments = parser.parse_args()
    binary = arguments.binary.resolve()
    start = time.monotonic()
    try:
        made = made_with(binary)
        golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {"made_with": made, "runs": {}}
        if not arguments.update and golden["made_with"] != made:
            print(f"not compared: the golden values are of {golden['made_with']}, this is {made}")
            return 0
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            now = dict(zip(RUNS, pool.map(lambda run: measure(binary, run), RUNS.values())))
    except Unknown as error:
        print(f"not compared: {error}")
        return 2 if arguments.update else 0
    except (Unmeasured, OSError, subprocess.CalledProcessError) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 2
    for run, counts in now.items():
        print(f"{run}: {counts['tempera']:,} instructions of tempera, {counts['onednn']:,} of oneDNN")
    print(f"took {time.monotonic() - start:.0f} s")
    if arguments.update:
        GOLDEN.write_text(json.dumps({"made_with": made, "runs": now}, indent=2) + "\n")
        return 0
    wrong = list(differences(golden["runs"], now))
    for line in wrong:
        print(line)
    if wrong:
        print(f"Beyond {TOLERANCE:.0%}: if the change is intended, use --update and give the reason in the commit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
