# moga_library(folder SOURCES … DEPS …): the static library of one folder of moga/, named moga_<folder>.
# moga_test(folder SOURCES … DEPS … [GPU]): the tests of one folder, a program test_<folder>. Tests whose suite is
# named *Gpu* run as <folder>_gpu under the label gpu; the rest run as <folder>.
function(moga_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_library(moga_${name} STATIC ${arg_SOURCES})
  target_include_directories(moga_${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(moga_${name} PUBLIC moga_torch PRIVATE moga_warnings)
  target_link_libraries(moga_${name} PUBLIC ${arg_DEPS})
  moga_precompile(moga_${name})
endfunction()

function(moga_precompile target)
  if(target STREQUAL "moga_core")
    # What nearly every file includes, and no more: behind <torch/torch.h> an empty file takes 4.6 s to compile, behind
    # these 2 s.
    target_precompile_headers(moga_core PRIVATE <torch/types.h> <torch/nn/module.h> <torch/nn/pimpl.h>)
  else()
    target_precompile_headers(${target} REUSE_FROM moga_core)
  endif()
endfunction()

function(moga_test name)
  cmake_parse_arguments(arg "GPU" "" "SOURCES;DEPS" ${ARGN})
  add_executable(test_${name} ${arg_SOURCES})
  target_link_libraries(test_${name} PRIVATE moga_warnings moga_test_support ${arg_DEPS})
  moga_precompile(test_${name})
  add_test(NAME ${name} COMMAND test_${name} --gtest_filter=-*Gpu* --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES LABELS cpu TIMEOUT 300 ENVIRONMENT "OMP_NUM_THREADS=1")
  if(arg_GPU)
    add_test(NAME ${name}_gpu COMMAND test_${name} --gtest_filter=*Gpu*)
    set_tests_properties(${name}_gpu PROPERTIES LABELS gpu TIMEOUT 600 SKIP_REGULAR_EXPRESSION "SKIPPED")
  endif()
endfunction()
