# moga_library(folder SOURCES … DEPS … [APART …]): the static library of one folder of moga/, named moga_<folder>.
# With MOGA_UNITY the sources are compiled a few at a time as one, except those APART, whose local names collide.
# moga_test(folder SOURCES … DEPS … [GPU]): the tests of one folder, a program test_<folder>. Tests whose suite is
# named *Gpu* run as <folder>_gpu under the label gpu; the rest run as <folder>.
option(MOGA_UNITY "Compile a few sources as one: clean builds are faster, changed files take longer" OFF)

function(moga_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;APART" ${ARGN})
  add_library(moga_${name} STATIC ${arg_SOURCES} ${arg_APART})
  target_include_directories(moga_${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(moga_${name} PUBLIC moga_torch PRIVATE moga_warnings)
  target_link_libraries(moga_${name} PUBLIC ${arg_DEPS})
  moga_precompile(moga_${name})
  if(MOGA_UNITY)
    # Half of a file's time goes to loading precompiled headers. In a unity source all files look like headers to g++,
    # which warns of their local types.
    set_target_properties(moga_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 4)
    if(arg_APART)
      set_source_files_properties(${arg_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
    target_compile_options(moga_${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
  endif()
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
