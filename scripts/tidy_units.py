#!/usr/bin/env python3
"""Prepares clang-tidy's input from a build folder and prints the files to check, one a line.

    scripts/tidy_units.py BUILD OUT

Most of clang-tidy's time goes into LibTorch's headers. So a room that uses LibTorch is checked as
one file that includes all of the room's sources; the others are checked source by source. OUT
receives these files and their compile_commands.json, without gcc's precompiled header, which
clang-tidy cannot read.
"""
import json
import pathlib
import re
import sys


def command_of(entry, source):
    """The compile command of an entry for another source, without output and precompiled header."""
    command = re.sub(r" -Winvalid-pch -include \S*cmake_pch\.hxx", "", entry["command"])
    command = re.sub(r" -(MT|MF|o) \S+| -MD", "", command)
    return command.replace(entry["file"], str(source))


def main():
    build, out = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    commands = json.loads((build / "compile_commands.json").read_text())
    entries = {entry["file"]: entry for entry in commands}
    layers = json.loads((build / "layers.json").read_text())
    root = pathlib.Path(__file__).resolve().parent.parent
    units = []
    single = {source for source in entries if pathlib.Path(source).is_relative_to(root / "src")}
    for room, layer in layers.items():
        folder = root / "src" / room
        sources = [folder / source for source in layer["sources"]]
        if layer["torch"]:
            entry = entries[str(sources[0])]
            unit = out / f"{room}.cpp"
            unit.write_text("".join(f'#include "{source}"  // NOLINT\n' for source in sources))
            units.append((unit, command_of(entry, unit) + f" -I{folder}"))
            single -= {str(source) for source in sources}
    units += [(source, command_of(entries[source], source)) for source in sorted(single)]
    commands = [{"directory": str(build), "file": str(unit), "command": command}
                for unit, command in units]
    (out / "compile_commands.json").write_text(json.dumps(commands, indent=1))
    print("\n".join(str(unit) for unit, _ in units))


if __name__ == "__main__":
    main()
