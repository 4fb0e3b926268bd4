# sgpt_mi_room(NAME [TORCH] [OWN_FLAGS] SOURCES file... [USES room...] [LIBS target...])
#
# One static library sgpt_mi_<NAME> from the sources of this folder. USES names the rooms that it
# may include; the `layers` test checks the #include lines against these edges. TORCH marks a room
# that may use LibTorch, OWN_FLAGS one whose compile flags fit no precompiled header.
define_property(GLOBAL PROPERTY SGPT_MI_LAYERS BRIEF_DOCS "folder, sources and edges of the rooms"
                FULL_DOCS "JSON members written by sgpt_mi_write_layers")

add_library(sgpt_mi_compile_flags INTERFACE)
target_include_directories(sgpt_mi_compile_flags INTERFACE ${PROJECT_SOURCE_DIR}/include)
target_compile_options(sgpt_mi_compile_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wconversion -Wshadow
  $<$<BOOL:${SGPT_MI_WERROR}>:-Werror>>)
# g++ 12 reports impossible copies inside std::string's operator+ and std::optional's moves once it
# has inlined them (GCC bugs 105651 and 105562); later releases do not.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(sgpt_mi_compile_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict
                         -Wno-stringop-overflow -Wno-maybe-uninitialized -Wno-array-bounds>)
endif()
# Of rooms only: most that is compiled are tests, in half of the time without. What they alone call of rooms' headers, and
# inline functions that they compile too, are not watched.
if(SGPT_MI_SANITIZE)
  set(SGPT_MI_ROOM_OPTIONS -fsanitize=address,undefined -fno-sanitize-recover=undefined
                           -fno-omit-frame-pointer)
  target_link_options(sgpt_mi_compile_flags INTERFACE -fsanitize=address,undefined)
elseif(SGPT_MI_FUZZ)
  set(SGPT_MI_ROOM_OPTIONS -fsanitize=fuzzer-no-link,address)
  target_link_options(sgpt_mi_compile_flags INTERFACE -fsanitize=address)
endif()

# Of rooms of numeric loops. Every formula is rounded operation by operation: the quantizer must
# reproduce published codes. The loops count on -O3 for vectorisation in every build type.
set(SGPT_MI_LOOP_FLAGS -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math)

# The arguments as a JSON array of strings.
function(sgpt_mi_json_list result)
  list(TRANSFORM ARGN REPLACE "(.+)" "\"\\1\"")
  list(JOIN ARGN ", " members)
  set(${result} "[${members}]" PARENT_SCOPE)
endfunction()

function(sgpt_mi_room name)
  cmake_parse_arguments(ROOM "TORCH;OWN_FLAGS" "" "SOURCES;USES;LIBS" ${ARGN})
  set(target sgpt_mi_${name})
  add_library(${target} STATIC ${ROOM_SOURCES})
  target_link_libraries(${target} PUBLIC sgpt_mi_compile_flags)
  target_compile_options(${target} PRIVATE ${SGPT_MI_ROOM_OPTIONS})
  foreach(used IN LISTS ROOM_USES)
    target_link_libraries(${target} PUBLIC sgpt_mi_${used})
  endforeach()
  target_link_libraries(${target} PUBLIC ${ROOM_LIBS})
  set(torch false)
  set(torch_word "")
  if(ROOM_TORCH)
    set(torch true)
    set(torch_word TORCH)
    target_link_libraries(${target} PUBLIC sgpt_mi_torch)
  endif()
  if(NOT ROOM_OWN_FLAGS)
    sgpt_mi_fast_compile(${target} room ${torch_word})
  endif()
  sgpt_mi_json_list(uses ${ROOM_USES})
  sgpt_mi_json_list(sources ${ROOM_SOURCES})
  set_property(GLOBAL APPEND PROPERTY SGPT_MI_LAYERS "\"${name}\": {\"torch\": ${torch},\n    \"sources\": ${sources},\n    \"uses\": ${uses}}")
endfunction()

function(sgpt_mi_write_layers file)
  get_property(rows GLOBAL PROPERTY SGPT_MI_LAYERS)
  list(JOIN rows ",\n" rows)
  file(WRITE ${file} "{\n${rows}\n}\n")
endfunction()

# The ctest entries of a test program's suites, found when it has been built.
function(sgpt_mi_discover_suites name label prefix)
  set(entries ${CMAKE_CURRENT_BINARY_DIR}/${name}_suites.cmake)
  if(NOT EXISTS ${entries})
    file(WRITE ${entries} "add_test(${name}_NOT_BUILT ${name}_NOT_BUILT)\n")
  endif()
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${name}> -DLABEL=${label} -DPREFIX=${prefix} -DOUT=${entries}
            -P ${PROJECT_SOURCE_DIR}/src/test_suites.cmake
    VERBATIM)
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${entries})
endfunction()

# sgpt_mi_test(NAME LABEL unit|golden|e2e|gpu|slow [TORCH] [CASES] SOURCES file... ROOMS room...
#              [LIBS target...] [SUITES prefix...] [GROUP name])
#
# One GoogleTest program; every case becomes a ctest entry LABEL.[GROUP.]SUITE.CASE with the label, or with SUITES all cases
# of a prefix ("TinyStories": TinyStories/*) become one, because they share what is dear to make. Of unit tests with TORCH
# (as above), and under sanitizers, a suite is an entry, LABEL.SUITE: to start takes longer than most cases; with CASES a case
# again, where one may be skipped. Tests see the rooms' own headers too, as "room/header.h".
function(sgpt_mi_test name)
  cmake_parse_arguments(TEST "TORCH;CASES" "LABEL;GROUP" "SOURCES;ROOMS;LIBS;SUITES" ${ARGN})
  if(TEST_TORCH AND NOT SGPT_MI_TORCH_ROOMS)
    return()
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM TEST_ROOMS PREPEND sgpt_mi_)
  target_link_libraries(${name} PRIVATE sgpt_mi_test_support ${TEST_ROOMS} ${TEST_LIBS}
                        GTest::gtest GTest::gmock GTest::gtest_main)
  set(torch_word "")
  if(TEST_TORCH)
    set(torch_word TORCH)
    target_link_libraries(${name} PRIVATE sgpt_mi_torch)
  endif()
  sgpt_mi_fast_compile(${name} test ${torch_word})
  foreach(suite IN LISTS TEST_SUITES)
    add_test(NAME ${TEST_LABEL}.${suite} COMMAND ${name} --gtest_filter=${suite}/*)
    set_tests_properties(${TEST_LABEL}.${suite} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT 1200
                         SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]" ENVIRONMENT "OMP_NUM_THREADS=1;HF_HUB_OFFLINE=1")
  endforeach()
  if(TEST_SUITES)
    return()
  endif()
  set(prefix ${TEST_LABEL}.)
  if(TEST_GROUP)
    set(prefix ${prefix}${TEST_GROUP}.)
  endif()
  if(TEST_LABEL STREQUAL "unit" AND NOT TEST_CASES AND (TEST_TORCH OR SGPT_MI_SANITIZE))
    sgpt_mi_discover_suites(${name} ${TEST_LABEL} ${prefix})
    return()
  endif()
  gtest_discover_tests(${name} TEST_PREFIX ${prefix} DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS ${TEST_LABEL} TIMEOUT 600
                       # ctest runs one test a core; more threads in each would only get in the way
                       ENVIRONMENT OMP_NUM_THREADS=1)
endfunction()
