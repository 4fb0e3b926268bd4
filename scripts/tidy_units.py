#!/usr/bin/env python3
"""Prepares clang-tidy's input from a build folder and prints the files to check, one a line.

    scripts/tidy_units.py BUILD OUT

Most of clang-tidy's time goes into headers, LibTorch's above all. So rooms are checked several at
a time, as one file that includes all of their sources; a room whose sources are compiled by
different options (cpu_kernels) is checked source by source. OUT receives these files and their
compile_commands.json, without gcc's precompiled header, which clang-tidy cannot read.
"""
import json
import pathlib
import re
import sys

SOURCES_A_UNIT = 40  # enough to share the headers, few enough for some units a core


# libstdc++ 12's <atomic> uses INT_MAX, and clang finds it only where <climits> came before.
PREAMBLE = "#include <climits>  // NOLINT\n"


def command_of(entry, source):
    """The compile command of an entry for another source, without output and precompiled header."""
    command = re.sub(r" -Winvalid-pch -include \S*cmake_pch\.hxx", "", entry["command"])
    command = re.sub(r" -(MT|MF|o) \S+| -MD", "", command)
    return command.replace(entry["file"], str(source))


def groups_of(rooms):
    """Lists of sources: whole rooms, in their order, together about SOURCES_A_UNIT at a time."""
    groups = [[]]
    for sources in rooms:
        if groups[-1] and len(groups[-1]) + len(sources) > SOURCES_A_UNIT:
            groups.append([])
        groups[-1] += sources
    return groups


def shared_command(entries, unit):
    """The first entry's command with the folders and definitions of all."""
    first, *others = [command_of(entry, "") for entry in entries]
    options = r"(?<!\S)(?:-isystem \S+|-[DI]\S+)"
    more = [option for command in others for option in re.findall(options, command)]
    return " ".join([first, *dict.fromkeys(more), str(unit)])


def main():
    build, out = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    commands = json.loads((build / "compile_commands.json").read_text())
    entries = {entry["file"]: entry for entry in commands}
    layers = json.loads((build / "layers.json").read_text())
    root = pathlib.Path(__file__).resolve().parent.parent
    single = {source for source in entries if pathlib.Path(source).is_relative_to(root / "src")}
    kinds = {True: [], False: []}  # with LibTorch and without: the sources of each room
    for room, layer in layers.items():
        sources = [str(root / "src" / room / source) for source in layer["sources"]]
        if len({command_of(entries[source], "") for source in sources}) == 1:
            kinds[layer["torch"]].append(sources)
            single -= set(sources)
    units = []
    for rooms in kinds.values():
        for group in groups_of(rooms):
            unit = out / f"unit{len(units)}.cpp"
            lines = [f'#include "{source}"  // NOLINT\n' for source in group]
            unit.write_text(PREAMBLE + "".join(lines))
            units.append((unit, shared_command([entries[source] for source in group], unit)))
    units += [(source, command_of(entries[source], source)) for source in sorted(single)]
    commands = [{"directory": str(build), "file": str(unit), "command": command}
                for unit, command in units]
    (out / "compile_commands.json").write_text(json.dumps(commands, indent=1))
    print("\n".join(str(unit) for unit, _ in units))


if __name__ == "__main__":
    main()
