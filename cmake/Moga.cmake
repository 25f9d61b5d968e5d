# moga_library(folder SOURCES … DEPS … [APART …]): the static library moga_<folder> of one folder of moga/.
#
# With MOGA_UNITY a few sources are compiled as one, except those listed as APART, whose local names collide. Tests are in
# Tests.cmake.
option(MOGA_UNITY "Compile a few sources as one: clean builds are faster, changed files take longer" OFF)

function(moga_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;APART" ${ARGN})
  add_library(moga_${name} STATIC ${arg_SOURCES} ${arg_APART})
  target_include_directories(moga_${name} PUBLIC
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_compile_features(moga_${name} PUBLIC cxx_std_20)
  target_link_libraries(moga_${name} PUBLIC moga_torch PRIVATE $<BUILD_INTERFACE:moga_warnings>)
  target_link_libraries(moga_${name} PUBLIC ${arg_DEPS})
  moga_precompile(moga_${name})
  moga_install(moga_${name})
  if(MOGA_UNITY)
    # Loading the precompiled headers is half of the time a file takes. g++ treats the files of a unity source as headers
    # and warns about their local types.
    set_target_properties(moga_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 4)
    if(arg_APART)
      set_source_files_properties(${arg_APART} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
    target_compile_options(moga_${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
  endif()
endfunction()

function(moga_precompile target)
  if(target STREQUAL "moga_core")
    # Only what nearly every file includes: an empty file takes 4.6 s to compile with <torch/torch.h>, 2 s with these.
    target_precompile_headers(moga_core PRIVATE <torch/types.h> <torch/nn/module.h> <torch/nn/pimpl.h>)
  else()
    target_precompile_headers(${target} REUSE_FROM moga_core)
  endif()
endfunction()
