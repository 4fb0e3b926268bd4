#!/usr/bin/env python3
"""Checks the layers of the source tree against the rooms that CMake knows.

    scripts/check_layers.py BUILD_FOLDER/layers.json

Rules:
  * a file of a room includes headers of its own room and of the rooms in its USES list only;
  * a quoted include without "sgpt_mi/" does not leave the room's folder;
  * LibTorch's headers appear in rooms marked TORCH only;
  * host code has no preprocessor condition on CUDA: off means another source file;
  * every source file and every tests/**/*_test.cpp is named in a CMakeLists.txt.

Prints one line per breach and exits with 1, or nothing and 0.
"""

import argparse
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


@dataclasses.dataclass(frozen=True)
class Room:
    """One sgpt_mi_room() call."""

    name: str
    folder: str  # of src/ and include/sgpt_mi/; two rooms may share one
    torch: bool
    sources: tuple
    uses: tuple


def load_rooms(path):
    """The rooms of layers.json, by name."""
    members = json.loads(path.read_text(encoding="utf-8"))
    return {name: Room(name, member["folder"], member["torch"], tuple(member["sources"]),
                       tuple(member["uses"])) for name, member in members.items()}


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


def room_of(path, rooms):
    """The room whose SOURCES list the file; a header of src/ goes with the source of its name, and
    what no room lists (main.cpp, public headers) with the room that the folder is named after."""
    folder = folder_of(path)
    if path.parts[0] == "src":
        source = path.relative_to("src", folder).with_suffix(".cpp").as_posix()
        for room in rooms.values():
            if room.folder == folder and source in room.sources:
                return room
    return rooms.get(folder)


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
    target = room_of(pathlib.Path("include") / quoted, rooms)
    if target is None:
        return f'"{quoted}" belongs to no room'
    if target is not room and target.name not in room.uses:
        return f"room '{room.name}' includes \"{quoted}\" but does not list '{target.name}' in USES"
    return None


def check_file(path, text, rooms):
    """Breaches in one file; `path` relative to the project."""
    room = room_of(path, rooms)
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
    problems += check_registered(ROOT)
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
