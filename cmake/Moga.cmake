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
  moga_unite(moga_${name} ${arg_APART})
endfunction()

# Compiles the sources of `target` four at a time, those named after it one by one. At the end of every file, g++
# instantiates templates of LibTorch's headers for six seconds, with precompiled headers too.
function(moga_unite target)
  if(NOT MOGA_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 4)
  if(ARGN)
    set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  # g++ treats the files of a unity source as headers and warns about their local types.
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endfunction()

# Only what nearly every file includes: an empty file takes more than twice as long to compile with <torch/torch.h>.
set(MOGA_COMMON_HEADERS <torch/types.h> <torch/nn/module.h> <torch/nn/pimpl.h>)

function(moga_precompile target)
  if(target STREQUAL "moga_core")
    target_precompile_headers(moga_core PRIVATE ${MOGA_COMMON_HEADERS})
  else()
    target_precompile_headers(${target} REUSE_FROM moga_core)
  endif()
endfunction()

# moga_page(variable file): the text of a page, with the style that all pages share, for configure_file. A change of
# either runs CMake again.
function(moga_page variable file)
  set(style "${PROJECT_SOURCE_DIR}/moga/core/page_style.css")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}" "${style}")
  file(READ "${file}" page)
  file(READ "${style}" rules)
  string(REPLACE "/* the common style */" "${rules}" page "${page}")
  set(${variable} "${page}" PARENT_SCOPE)
endfunction()
