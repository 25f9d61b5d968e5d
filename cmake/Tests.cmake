# moga_test(folder SOURCES … DEPS … [APART …] [GPU]): the tests of one folder, the program test_<folder>.
#
# Each test file is one CTest entry, named by its path without "_test.cpp" ("attention/router"), so that a crash costs the
# rest of one file. Suites named *Gpu* form a second entry with the suffix "_gpu" and the label gpu. The entries are read
# from the program when it has been linked (list_tests.py); starting it once for each suite instead would cost 0.5 s a
# suite to load LibTorch. GPU: some suites are named *Gpu*.
#
# Tests are compiled for a short build (moga_compile_quickly): their own code has little to compute. APART: as in moga_library.
#
# A program returns 77 when nothing failed and a test was skipped (tests/support/exit_status.h).
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(moga_compile_quickly target)
  target_compile_options(${target} PRIVATE -O1)
  if(target STREQUAL "moga_test_support")
    target_precompile_headers(${target} PRIVATE ${MOGA_COMMON_HEADERS} <gtest/gtest.h>)
  else()
    target_precompile_headers(${target} REUSE_FROM moga_test_support)
  endif()
endfunction()

function(moga_test name)
  cmake_parse_arguments(arg "GPU" "" "SOURCES;DEPS;APART" ${ARGN})
  add_executable(test_${name} ${arg_SOURCES} ${arg_APART})
  target_link_libraries(test_${name} PRIVATE moga_warnings moga_test_support ${arg_DEPS})
  moga_compile_quickly(test_${name})
  moga_unite(test_${name} ${arg_APART})

  set(entries "${CMAKE_CURRENT_BINARY_DIR}/test_${name}_entries.cmake")
  set(lister "${PROJECT_SOURCE_DIR}/cmake/list_tests.py")
  set(options --out "${entries}")
  if(arg_GPU)
    list(APPEND options --gpu)
  endif()
  add_custom_command(TARGET test_${name} POST_BUILD
    COMMAND Python3::Interpreter "${lister}" $<TARGET_FILE:test_${name}> ${options}
    BYPRODUCTS "${entries}"
    VERBATIM)
  set_property(TARGET test_${name} APPEND PROPERTY LINK_DEPENDS "${lister}")
  # A program that has not been built is a failed entry.
  set(included "${CMAKE_CURRENT_BINARY_DIR}/test_${name}_included.cmake")
  file(WRITE "${included}"
    "if(EXISTS \"${entries}\")\n  include(\"${entries}\")\nelse()\n  add_test(${name}/not_built test_${name})\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${included}")
endfunction()
