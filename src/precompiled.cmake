# What makes a clean build short: the headers that cost most are compiled once for each of the four
# kinds of sources, and several sources are compiled as one (SGPT_MI_UNITY).
#
# sgpt_mi_fast_compile(TARGET room|test [TORCH])

# sgpt_mi_precompiled(NAME LIBS target... HEADERS header...): an object library whose precompiled
# headers others reuse; they must have its compile options.
function(sgpt_mi_precompiled name)
  cmake_parse_arguments(PCH "" "" "LIBS;HEADERS;OPTIONS" ${ARGN})
  file(WRITE ${PROJECT_BINARY_DIR}/${name}.cpp "namespace sgpt_mi {}\n")
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE sgpt_mi_compile_flags ${PCH_LIBS})
  target_compile_options(${name} PRIVATE ${PCH_OPTIONS})
  target_precompile_headers(${name} PRIVATE ${PCH_HEADERS})
endfunction()

set(SGPT_MI_ROOM_HEADERS <algorithm> <filesystem> <map> <memory> <optional> <string> <vector>
    <nlohmann/json.hpp> <spdlog/fmt/fmt.h>)
set(SGPT_MI_TEST_HEADERS ${SGPT_MI_ROOM_HEADERS} <fstream> <gmock/gmock.h>)
set(SGPT_MI_ROOM_LIBS nlohmann_json::nlohmann_json spdlog::spdlog)
set(SGPT_MI_TEST_LIBS ${SGPT_MI_ROOM_LIBS} GTest::gtest GTest::gmock)
# Compiling the tests costs more than running them.
set(SGPT_MI_TEST_OPTIONS -O1)

sgpt_mi_precompiled(sgpt_mi_room_pch LIBS ${SGPT_MI_ROOM_LIBS} HEADERS ${SGPT_MI_ROOM_HEADERS}
                    OPTIONS ${SGPT_MI_ROOM_OPTIONS})
if(SGPT_MI_TESTS)
  sgpt_mi_precompiled(sgpt_mi_test_pch LIBS ${SGPT_MI_TEST_LIBS} HEADERS ${SGPT_MI_TEST_HEADERS}
                      OPTIONS ${SGPT_MI_TEST_OPTIONS})
endif()
if(SGPT_MI_TORCH_ROOMS)
  sgpt_mi_precompiled(sgpt_mi_room_torch_pch LIBS sgpt_mi_torch ${SGPT_MI_ROOM_LIBS}
                      HEADERS <torch/types.h> ${SGPT_MI_ROOM_HEADERS} OPTIONS ${SGPT_MI_ROOM_OPTIONS})
  if(SGPT_MI_TESTS)
    sgpt_mi_precompiled(sgpt_mi_test_torch_pch LIBS sgpt_mi_torch ${SGPT_MI_TEST_LIBS}
                        HEADERS <torch/types.h> ${SGPT_MI_TEST_HEADERS}
                        OPTIONS ${SGPT_MI_TEST_OPTIONS})
  endif()
endif()

function(sgpt_mi_fast_compile target kind)
  cmake_parse_arguments(FAST "TORCH" "" "" ${ARGN})
  set(torch "")
  if(FAST_TORCH)
    set(torch _torch)
  endif()
  target_precompile_headers(${target} REUSE_FROM sgpt_mi_${kind}${torch}_pch)
  if(kind STREQUAL "test")  # files of tests have helpers of the same names: one at a time
    target_compile_options(${target} PRIVATE ${SGPT_MI_TEST_OPTIONS})
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${SGPT_MI_UNITY} UNITY_BUILD_BATCH_SIZE 12)
  if(SGPT_MI_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A class of a source file may have members of that file's own types.
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()
