# Build flavours: -DSGPT_MI_FLAVOUR=NAME chooses the defaults of the options below; what is given on
# the command line wins. `scripts/setup --flavour NAME` makes one in build-NAME (release: build).
#
# release   optimised, with LibTorch: the program and its tests
# debug     the same without optimisation, with symbols, source by source: for debuggers
# sanitize  the rooms without LibTorch under AddressSanitizer and UndefinedBehaviorSanitizer
# fuzz      the same rooms and the libFuzzer targets, by clang
# tidy      configured only: the compile commands that scripts/tidy_units.py reads, source by source
#
# CUDA is no flavour: SGPT_MI_CUDA=AUTO|ON|OFF goes with release, debug and tidy.
set(SGPT_MI_FLAVOUR release CACHE STRING "Build flavour: release, debug, sanitize, fuzz, tidy")
set_property(CACHE SGPT_MI_FLAVOUR PROPERTY STRINGS release debug sanitize fuzz tidy)

set(flavour_type Release)
foreach(option IN ITEMS TORCH_ROOMS UNITY)
  set(flavour_${option} ON)
endforeach()
foreach(option IN ITEMS SANITIZE FUZZ)
  set(flavour_${option} OFF)
endforeach()
if(SGPT_MI_FLAVOUR STREQUAL "debug")
  set(flavour_type Debug)
  set(flavour_UNITY OFF)
elseif(SGPT_MI_FLAVOUR STREQUAL "tidy")
  set(flavour_UNITY OFF)
elseif(SGPT_MI_FLAVOUR MATCHES "^(sanitize|fuzz)$")
  set(flavour_type Debug)
  set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1" CACHE STRING "compiling costs more here than running")
  set(flavour_TORCH_ROOMS OFF)
  string(TOUPPER ${SGPT_MI_FLAVOUR} option)
  set(flavour_${option} ON)
  if(option STREQUAL "FUZZ" AND NOT CMAKE_CXX_COMPILER)
    find_program(CMAKE_CXX_COMPILER NAMES clang++-14 clang++ REQUIRED)
  endif()
elseif(NOT SGPT_MI_FLAVOUR STREQUAL "release")
  message(FATAL_ERROR "SGPT_MI_FLAVOUR=${SGPT_MI_FLAVOUR}: there are release, debug, sanitize, fuzz, tidy")
endif()

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE ${flavour_type} CACHE STRING "Build type" FORCE)
endif()
option(SGPT_MI_TORCH_ROOMS "Build the rooms that need LibTorch, and the program" ${flavour_TORCH_ROOMS})
option(SGPT_MI_UNITY "Compile several sources at once: shorter clean builds" ${flavour_UNITY})
option(SGPT_MI_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer" ${flavour_SANITIZE})
option(SGPT_MI_FUZZ "Build the libFuzzer targets (clang only)" ${flavour_FUZZ})
