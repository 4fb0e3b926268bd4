#!/usr/bin/env python3
"""Checks the layers of the source tree against the rooms that CMake knows.

    scripts/check_layers.py BUILD_FOLDER/layers.json

Rules:
  * a file of a room includes headers of its own room and of the rooms in its USES list only;
  * USES names rooms that come earlier in CMakeLists.txt: no circle, no arrow upward;
  * no room has more than 14 sources or 3,000 lines in src and include: another idea, another room;
  * every folder of tests/unit is named after a room, and named in tests/CMakeLists.txt;
  * a quoted include without "sgpt_mi/" does not leave the room's folder;
  * LibTorch's headers appear in rooms marked TORCH only;
  * host code has no preprocessor condition on CUDA: off means another source file;
  * every source file and every tests/**/*_test.cpp is named in a CMakeLists.txt.

Prints one line per breach and exits with 1, or nothing and 0.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import posixpath
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"(?P<quoted>[^"]+)"|<(?P<angled>[^>]+)>)')
TORCH_HEADER = re.compile(r"^(torch|ATen|c10|caffe2)/")
# __CUDACC__ stays allowed: it marks formulas that both compilers share as __host__ __device__.
CUDA_CONDITION = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*(CUDA(?!CC__)|NVCC)")
SOURCE_SUFFIXES = (".h", ".cpp", ".cu", ".cuh")
MOST_SOURCES = 14
MOST_LINES = 3000


@dataclasses.dataclass(frozen=True)
class Room:
    """One sgpt_mi_room() call."""

    name: str  # also of its folder in src/ and include/sgpt_mi/
    torch: bool
    sources: tuple
    uses: tuple


def load_rooms(path):
    """The rooms of layers.json by name, the lowest first."""
    members = json.loads(path.read_text(encoding="utf-8"))
    return {name: Room(name, member["torch"], tuple(member["sources"]), tuple(member["uses"])) for name, member in members.items()}


def folder_of(path):
    """The room folder of a file, from its path relative to the project; None outside the rooms."""
    parts = path.parts
    if parts[0] == "cuda":
        return "kernels"
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if parts[:2] == ("include", "sgpt_mi") and len(parts) > 3:
        return parts[2]
    return None


def check_include(path, room, include, rooms):
    """What is wrong with one #include line (a match of INCLUDE) of a room's file, or None."""
    angled, quoted = include["angled"], include["quoted"]
    if angled:
        if TORCH_HEADER.match(angled) and not room.torch:
            return f"room '{room.name}' is not marked TORCH but includes <{angled}>"
        return None
    if not quoted.startswith("sgpt_mi/"):
        reached = pathlib.PurePath(posixpath.normpath((path.parent / quoted).as_posix()))
        if folder_of(reached) != folder_of(path):
            return f'"{quoted}" leaves the room; include "sgpt_mi/<room>/..." instead'
        return None
    target = rooms.get(folder_of(pathlib.Path("include") / quoted))
    if target is None:
        return f'"{quoted}" belongs to no room'
    if target is not room and target.name not in room.uses:
        return f"room '{room.name}' includes \"{quoted}\" but does not list '{target.name}' in USES"
    return None


def check_file(path, text, rooms):
    """Breaches in one file; `path` relative to the project."""
    room = rooms.get(folder_of(path))
    if room is None:
        return [f"{path}: belongs to no room"]
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        include = INCLUDE.match(line)
        problem = check_include(path, room, include, rooms) if include else None
        if path.parts[0] != "cuda" and CUDA_CONDITION.match(line):
            problem = "preprocessor condition on CUDA; give the other build its own source file"
        if problem:
            problems.append(f"{path}:{number}: {problem}")
    return problems


def check_order(rooms):
    """Arrows to rooms that do not lie below."""
    names = list(rooms)
    return [f"room '{room.name}' uses '{used}', which does not lie below it"
            for room in rooms.values() for used in room.uses
            if used not in names[:names.index(room.name)]]


def check_sizes(root, rooms):
    """Rooms that have outgrown one idea. The cuda folder is not counted: it repeats kernels."""
    lines = collections.Counter()
    for path in source_files(root):
        if path.parts[0] != "cuda":
            lines[folder_of(path)] += (root / path).read_text(encoding="utf-8").count("\n")
    problems = []
    for room in rooms.values():
        if len(room.sources) > MOST_SOURCES or lines[room.name] > MOST_LINES:
            problems.append(f"room '{room.name}' has {len(room.sources)} sources and "
                            f"{lines[room.name]} lines; at most {MOST_SOURCES} and {MOST_LINES}")
    return problems


def check_tests(root, rooms):
    """Folders of unit tests without a room, or that are not built."""
    folders = sorted(path.name for path in (root / "tests" / "unit").iterdir() if path.is_dir())
    built = (root / "tests" / "CMakeLists.txt").read_text(encoding="utf-8")
    problems = [f"tests/unit/{name}: there is no room of that name"
                for name in folders if name not in rooms]
    return problems + [f"tests/unit/{name}: not named in tests/CMakeLists.txt, so it is not built"
                       for name in folders if not re.search(rf"\bunit/{name}\b", built)]


def source_files(root):
    """Files of the rooms, relative to `root`, sorted."""
    found = (path.relative_to(root) for top in ("src", "include", "cuda")
             for path in (root / top).rglob("*") if path.suffix in SOURCE_SUFFIXES)
    return sorted(path for path in found if folder_of(path) is not None)


def cmake_list_of(path):
    """The CMakeLists.txt that must name a compiled file; both relative to the project."""
    if path.parts[0] == "tests":
        return path.parent / "CMakeLists.txt"
    return pathlib.Path("src", folder_of(path), "CMakeLists.txt")


def check_registered(root):
    """Compiled files that no CMakeLists.txt names."""
    compiled = [path for path in source_files(root) if path.suffix in (".cpp", ".cu")]
    compiled += sorted(path.relative_to(root) for path in (root / "tests").rglob("*_test.cpp"))
    problems = []
    for path in compiled:
        cmake = cmake_list_of(path)
        text = (root / cmake).read_text(encoding="utf-8") if (root / cmake).is_file() else ""
        inside = path.is_relative_to(cmake.parent)
        name = path.relative_to(cmake.parent).as_posix() if inside else path.name
        if not re.search(rf"(^|[\s(/]){re.escape(name)}($|[\s)])", text):
            problems.append(f"{path}: not named in {cmake}, so it is not built")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("layers", type=pathlib.Path, help="layers.json in the build folder")
    rooms = load_rooms(parser.parse_args().layers)
    problems = [problem for path in source_files(ROOT)
                for problem in check_file(path, (ROOT / path).read_text(encoding="utf-8"), rooms)]
    problems += check_order(rooms) + check_sizes(ROOT, rooms) + check_tests(ROOT, rooms)
    problems += check_registered(ROOT)
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
