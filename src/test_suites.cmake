# Writes the ctest entries of one GoogleTest program, one for every suite:
#   cmake -DPROGRAM=FILE -DLABEL=unit -DPREFIX=unit. -DOUT=FILE -P test_suites.cmake
execute_process(COMMAND ${PROGRAM} --gtest_list_tests OUTPUT_VARIABLE list RESULT_VARIABLE failure)
if(failure)
  message(FATAL_ERROR "${PROGRAM} --gtest_list_tests: ${failure}")
endif()
set(entries "")
string(REGEX MATCHALL "(^|\n)[A-Za-z0-9_/]+\\." suites "${list}")
foreach(suite IN LISTS suites)
  string(STRIP "${suite}" suite)
  set(test "${PREFIX}${suite}")
  string(REGEX REPLACE "\\.$" "" test "${test}")
  string(APPEND entries
         "add_test([=[${test}]=] [=[${PROGRAM}]=] [=[--gtest_filter=${suite}*]=])\n"
         "set_tests_properties([=[${test}]=] PROPERTIES LABELS ${LABEL} TIMEOUT 600 ENVIRONMENT OMP_NUM_THREADS=1)\n")
endforeach()
file(WRITE ${OUT} "${entries}")
