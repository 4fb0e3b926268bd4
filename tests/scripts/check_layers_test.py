"""Self-test of scripts/check_layers.py: each rule is broken once."""

import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

import check_layers  # noqa: E402  (the path above comes first)

ROOMS = {
    name: check_layers.Room(name, *facts) for name, facts in {
        "core": (False, ("hash.cpp",), ()),
        "kernels": (False, ("obs_block.cpp",), ("core",)),
        "io": (False, ("output.cpp", "gz/reader.cpp"), ("core",)),
        "model": (True, ("opt.cpp",), ("core", "io")),
        "eval": (True, ("score.cpp",), ("core", "model")),
    }.items()
}


def problems(path, *lines):
    return check_layers.check_file(pathlib.Path(path), "\n".join(lines), ROOMS)


class FolderOfFile(unittest.TestCase):
    def folder(self, path):
        return check_layers.folder_of(pathlib.Path(path))

    def test_source_and_header_belong_to_the_room_of_their_folder(self):
        self.assertEqual(self.folder("src/io/output.cpp"), "io")
        self.assertEqual(self.folder("src/io/gz/reader.h"), "io")
        self.assertEqual(self.folder("include/sgpt_mi/io/output.h"), "io")

    def test_the_cuda_folder_belongs_to_kernels(self):
        self.assertEqual(self.folder("cuda/device/reduce.cuh"), "kernels")


class Order(unittest.TestCase):
    def test_lower_rooms_are_fine(self):
        self.assertEqual(check_layers.check_order(ROOMS), [])

    def test_an_arrow_upward_is_refused(self):
        rooms = dict(ROOMS, core=check_layers.Room("core", False, (), ("io",)))
        self.assertEqual(check_layers.check_order(rooms),
                         ["room 'core' uses 'io', which does not lie below it"])


class Sizes(unittest.TestCase):
    def test_a_room_that_outgrew_its_idea_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src" / "io").mkdir(parents=True)
            (root / "src" / "io" / "long.cpp").write_text("\n" * (check_layers.MOST_LINES + 1))
            rooms = {"io": check_layers.Room("io", False, ("long.cpp",), ())}
            self.assertIn("room 'io' has 1 sources and 3001 lines",
                          check_layers.check_sizes(root, rooms)[0])
            many = tuple(f"{n}.cpp" for n in range(check_layers.MOST_SOURCES + 1))
            rooms = {"core": check_layers.Room("core", False, many, ())}
            self.assertIn("room 'core' has 15 sources", check_layers.check_sizes(root, rooms)[0])

    def test_unit_tests_are_named_after_rooms(self):
        with tempfile.TemporaryDirectory() as folder:
            tests = pathlib.Path(folder) / "tests"
            for name in ("moon", "io", "model"):
                (tests / "unit" / name).mkdir(parents=True)
            (tests / "CMakeLists.txt").write_text("set(folders unit/io unit/moon)\n")
            self.assertEqual(check_layers.check_tests(pathlib.Path(folder), ROOMS),
                             ["tests/unit/moon: there is no room of that name",
                              "tests/unit/model: not named in tests/CMakeLists.txt, so it is not "
                              "built"])


class Includes(unittest.TestCase):
    def test_own_room_used_room_and_standard_headers_are_fine(self):
        self.assertEqual(problems("src/model/opt.cpp", '#include "sgpt_mi/model/model.h"',
                                  '#include "sgpt_mi/core/error.h"', "#include <torch/types.h>",
                                  "#include <vector>", '#include "opt_names.h"'), [])

    def test_a_room_that_is_only_used_by_a_used_room_is_refused(self):
        found = problems("src/eval/score.cpp", "", '#include "sgpt_mi/io/output.h"')
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("src/eval/score.cpp:2: room 'eval' includes"))
        self.assertIn("does not list 'io' in USES", found[0])

    def test_a_lower_room_may_not_include_a_higher_one(self):
        found = problems("include/sgpt_mi/core/hash.h", '#include "sgpt_mi/model/model.h"')
        self.assertIn("does not list 'model'", found[0])

    def test_an_unknown_room_is_named(self):
        self.assertIn('"sgpt_mi/moon/x.h" belongs to no room',
                      problems("src/core/hash.cpp", '#include "sgpt_mi/moon/x.h"')[0])

    def test_another_room_is_not_reached_by_a_relative_path(self):
        self.assertIn("leaves the room", problems("src/core/hash.cpp", '#include "../io/x.h"')[0])
        self.assertEqual(problems("src/io/gz/reader.cpp", '#include "../posix_file.h"'), [])

    def test_torch_headers_are_for_torch_rooms(self):
        for header in ("torch/types.h", "ATen/ATen.h", "c10/util/Half.h"):
            self.assertIn("not marked TORCH", problems("src/io/output.cpp",
                                                       f"#include <{header}>")[0])
            self.assertIn("not marked TORCH", problems("cuda/obs_block.cu",
                                                       f"#include <{header}>")[0])
            self.assertEqual(problems("src/model/opt.cpp", f"#include <{header}>"), [])


class Conditions(unittest.TestCase):
    def test_host_code_has_no_condition_on_cuda(self):
        for line in ("#ifdef SGPT_MI_HAVE_CUDA", "#if defined(__NVCC__)", "# ifndef USE_CUDA"):
            self.assertIn("condition on CUDA", problems("src/core/hash.cpp", line)[0])
        self.assertEqual(problems("src/core/hash.cpp", "#ifdef __AVX2__", "#ifdef __CUDACC__",
                                  "// #ifdef CUDA"), [])

    def test_device_code_may_ask_for_the_architecture(self):
        self.assertEqual(problems("cuda/obs_block.cu", "#if __CUDA_ARCH__ >= 900"), [])


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, name, text=""):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def test_files_outside_a_cmake_list_are_found(self):
        self.write("src/core/CMakeLists.txt", "sgpt_mi_room(core SOURCES not_lost.cpp hash.cpp)")
        self.write("src/core/hash.cpp")
        self.write("src/core/lost.cpp")
        self.write("src/core/formats/lost.cpp")
        self.write("src/core/alone.h")
        self.write("tests/unit/core/CMakeLists.txt", "sgpt_mi_test(t SOURCES hash_test.cpp)")
        self.write("tests/unit/core/hash_test.cpp")
        self.write("tests/unit/io/lost_test.cpp")
        self.write("src/kernels/CMakeLists.txt", "target_sources(k ${folder}/block.cu)")
        self.write("cuda/block.cu")
        self.assertEqual(check_layers.check_registered(self.root), [
            "src/core/formats/lost.cpp: not named in src/core/CMakeLists.txt, so it is not built",
            "src/core/lost.cpp: not named in src/core/CMakeLists.txt, so it is not built",
            "tests/unit/io/lost_test.cpp: not named in tests/unit/io/CMakeLists.txt, "
            "so it is not built"])

    def test_layers_json_is_read_as_cmake_writes_it(self):
        path = self.write("layers.json", json.dumps({"model": {
            "folder": "model", "torch": True, "sources": ["opt.cpp"],
            "uses": ["core", "io"]}}))
        self.assertEqual(check_layers.load_rooms(path), {"model": ROOMS["model"]})


if __name__ == "__main__":
    unittest.main()
