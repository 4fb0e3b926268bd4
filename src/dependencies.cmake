# Third-party packages. Everything comes from Debian except LibTorch (the torch wheel) and Arrow
# (the pyarrow wheel).
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ZLIB REQUIRED)
find_package(LibLZMA REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
find_package(CURL REQUIRED)
find_package(Threads REQUIRED)
find_package(CLI11 REQUIRED)
pkg_check_modules(sentencepiece REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(plplot REQUIRED IMPORTED_TARGET plplot)
find_package(PNG REQUIRED)
find_package(Eigen3 REQUIRED)

# --- Arrow from the pyarrow wheel ---------------------------------------------------------------
find_library(SGPT_MI_ARROW_LIBRARY NAMES libarrow.so.2600 libarrow.so.2500 libarrow.so
             PATHS ${SGPT_MI_PYARROW_DIR} NO_DEFAULT_PATH)
find_library(SGPT_MI_PARQUET_LIBRARY NAMES libparquet.so.2600 libparquet.so.2500 libparquet.so
             PATHS ${SGPT_MI_PYARROW_DIR} NO_DEFAULT_PATH)
if(NOT SGPT_MI_ARROW_LIBRARY OR NOT SGPT_MI_PARQUET_LIBRARY)
  message(FATAL_ERROR "Arrow not found: pass -DSGPT_MI_PYARROW_DIR=<folder of the pyarrow wheel> "
                      "(scripts/setup does)")
endif()
add_library(sgpt_mi_arrow INTERFACE)
target_include_directories(sgpt_mi_arrow SYSTEM INTERFACE ${SGPT_MI_PYARROW_DIR}/include)
target_link_libraries(sgpt_mi_arrow INTERFACE ${SGPT_MI_PARQUET_LIBRARY} ${SGPT_MI_ARROW_LIBRARY})

# --- CUDA ---------------------------------------------------------------------------------------
# Kernels are built when there is a compiler for them and a LibTorch that can use the device.
set(SGPT_MI_TORCH_DIR "" CACHE PATH "Folder of the torch wheel, or of an unpacked LibTorch")
set(SGPT_MI_HAVE_CUDA OFF)
if(SGPT_MI_TORCH_ROOMS AND NOT SGPT_MI_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER AND EXISTS /usr/local/cuda/bin/nvcc)
    set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
  endif()
  check_language(CUDA)
  foreach(library IN ITEMS torch_cuda c10_cuda)
    find_library(SGPT_MI_LIB_${library} NAMES ${library} PATHS ${SGPT_MI_TORCH_DIR}/lib NO_DEFAULT_PATH)
  endforeach()
  if(CMAKE_CUDA_COMPILER AND SGPT_MI_LIB_torch_cuda AND SGPT_MI_LIB_c10_cuda)
    set(architectures_given ${CMAKE_CUDA_ARCHITECTURES} $ENV{CUDAARCHS})  # CMake's own variable
    if(NOT architectures_given)
      set(CMAKE_CUDA_ARCHITECTURES 80 86 89 90)
    endif()
    enable_language(CUDA)
    if(NOT architectures_given AND CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
      list(APPEND CMAKE_CUDA_ARCHITECTURES 100 120)
    endif()
    set(CMAKE_CUDA_STANDARD 17)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    find_package(CUDAToolkit REQUIRED)
    set(SGPT_MI_HAVE_CUDA ON)
  elseif(SGPT_MI_CUDA STREQUAL "ON")
    message(FATAL_ERROR "SGPT_MI_CUDA=ON needs a CUDA compiler (found: ${CMAKE_CUDA_COMPILER}) and a "
                        "LibTorch with CUDA (found: ${SGPT_MI_LIB_torch_cuda})")
  endif()
endif()
message(STATUS "sgpt-mi: CUDA kernels ${SGPT_MI_HAVE_CUDA}")

# --- LibTorch -----------------------------------------------------------------------------------
# The torch wheel's own CMake package wants a CUDA toolkit of its own version and mixes flags into
# every target, so its libraries are imported directly. SGPT_MI_TORCH_DIR is the wheel's `torch`
# folder or an unpacked LibTorch.
if(SGPT_MI_TORCH_ROOMS)
  foreach(library IN ITEMS torch_cpu c10)
    find_library(SGPT_MI_LIB_${library} NAMES ${library} PATHS ${SGPT_MI_TORCH_DIR}/lib NO_DEFAULT_PATH)
    if(NOT SGPT_MI_LIB_${library})
      message(FATAL_ERROR "LibTorch not found: pass -DSGPT_MI_TORCH_DIR=<folder of the torch wheel> "
                          "(scripts/setup does)")
    endif()
  endforeach()
  # LibTorch's include folder carries another release of fmt than the one spdlog was built with.
  # This folder, searched first, leads <fmt/...> to the system's headers.
  get_target_property(fmt_include fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/system_fmt)
  file(CREATE_LINK ${fmt_include}/fmt ${PROJECT_BINARY_DIR}/system_fmt/fmt SYMBOLIC)
  add_library(sgpt_mi_torch INTERFACE)
  target_include_directories(sgpt_mi_torch SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/system_fmt
    ${SGPT_MI_TORCH_DIR}/include ${SGPT_MI_TORCH_DIR}/include/torch/csrc/api/include)
  target_link_libraries(sgpt_mi_torch INTERFACE ${SGPT_MI_LIB_torch_cpu} ${SGPT_MI_LIB_c10})
  if(SGPT_MI_HAVE_CUDA)
    # libtorch_cuda registers the GPU's operators when it is loaded; nothing refers to it by symbol.
    # Linked only: the toolkit's headers on every command line would spoil the compiler cache.
    target_link_libraries(sgpt_mi_torch INTERFACE
      -Wl,--push-state,--no-as-needed ${SGPT_MI_LIB_torch_cuda} -Wl,--pop-state
      ${SGPT_MI_LIB_c10_cuda} $<LINK_ONLY:CUDA::cudart>)
  endif()
endif()

# --- MPI ----------------------------------------------------------------------------------------
set(SGPT_MI_HAVE_MPI OFF)
if(SGPT_MI_TORCH_ROOMS AND NOT SGPT_MI_MPI STREQUAL "OFF")
  set(MPI_CXX_SKIP_MPICXX TRUE)  # the C interface
  find_package(MPI COMPONENTS CXX)
  set(SGPT_MI_HAVE_MPI ${MPI_CXX_FOUND})
  if(SGPT_MI_MPI STREQUAL "ON" AND NOT SGPT_MI_HAVE_MPI)
    message(FATAL_ERROR "SGPT_MI_MPI=ON needs MPI's development files (Debian: libopenmpi-dev)")
  endif()
endif()
message(STATUS "sgpt-mi: MPI ${SGPT_MI_HAVE_MPI}")

# NCCL, which LibTorch with CUDA brings, lets GPUs of several ranks talk without the host.
set(SGPT_MI_HAVE_NCCL OFF)
if(SGPT_MI_HAVE_MPI AND SGPT_MI_HAVE_CUDA)
  set(nccl ${SGPT_MI_TORCH_DIR}/../nvidia/nccl)
  find_path(SGPT_MI_NCCL_INCLUDE nccl.h HINTS ${nccl}/include ${SGPT_MI_TORCH_DIR}/include)
  find_library(SGPT_MI_LIB_nccl NAMES nccl libnccl.so.2 HINTS ${nccl}/lib ${SGPT_MI_TORCH_DIR}/lib)
  if(SGPT_MI_NCCL_INCLUDE AND SGPT_MI_LIB_nccl)
    set(SGPT_MI_HAVE_NCCL ON)
  endif()
endif()
message(STATUS "sgpt-mi: NCCL ${SGPT_MI_HAVE_NCCL}")

if(SGPT_MI_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

include(src/precompiled.cmake)
