# moga_test(folder SOURCES … DEPS … [GPU]): the tests of one folder, the program test_<folder>.
#
# Each test file is one CTest entry, named by its path without "_test.cpp" ("attention/router"), so that a crash costs the
# rest of one file. Suites named *Gpu* form a second entry with the suffix "_gpu" and the label gpu. The entries are read
# from the program when it has been linked (list_tests.py); starting it once for each suite instead would cost 0.5 s a
# suite to load LibTorch. GPU: some suites are named *Gpu*.
#
# A program returns 77 when nothing failed and a test was skipped (tests/support/exit_status.h).
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(moga_test name)
  cmake_parse_arguments(arg "GPU" "" "SOURCES;DEPS" ${ARGN})
  add_executable(test_${name} ${arg_SOURCES})
  target_link_libraries(test_${name} PRIVATE moga_warnings moga_test_support ${arg_DEPS})
  moga_precompile(test_${name})

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
