# What `cmake --install` puts where, and the Debian packages that CPack makes of it.
#
#   program       bin/moga, its manual pages and shell completion
#   development   headers, libraries and the package that find_package(moga) reads
#
# LibTorch is not part of it: programs look for it where this build found it, and in lib/moga/torch.
include(GNUInstallDirs)
set(MOGA_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/moga")
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/moga/torch;$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/moga;${MOGA_TORCH_RPATH}")

# moga_core is moga::core for those who use the package.
function(moga_install target)
  string(REGEX REPLACE "^moga_" "" name ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS ${target} EXPORT moga ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}/moga" COMPONENT development)
endfunction()

# Manual pages and completion come from the program itself.
function(moga_install_texts)
  set(share "\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}")
  install(CODE "execute_process(COMMAND $<TARGET_FILE:moga> manual --out \"${share}/man/man1\" COMMAND_ERROR_IS_FATAL ANY)"
    COMPONENT program)
  foreach(place bash:bash-completion/completions/moga zsh:zsh/site-functions/_moga fish:fish/vendor_completions.d/moga.fish)
    string(REPLACE ":" ";" place "${place}")
    list(GET place 0 shell)
    list(GET place 1 file)
    install(CODE "
      get_filename_component(folder \"${share}/${file}\" DIRECTORY)
      file(MAKE_DIRECTORY \"\${folder}\")
      execute_process(COMMAND $<TARGET_FILE:moga> completion ${shell} OUTPUT_FILE \"${share}/${file}\" COMMAND_ERROR_IS_FATAL ANY)"
      COMPONENT program)
  endforeach()
endfunction()

function(moga_install_package)
  include(CMakePackageConfigHelpers)
  configure_package_config_file(cmake/mogaConfig.cmake.in mogaConfig.cmake INSTALL_DESTINATION "${MOGA_PACKAGE_DIR}")
  write_basic_package_version_file(mogaConfigVersion.cmake COMPATIBILITY ExactVersion)
  install(FILES "${PROJECT_BINARY_DIR}/mogaConfig.cmake" "${PROJECT_BINARY_DIR}/mogaConfigVersion.cmake" cmake/Torch.cmake
    DESTINATION "${MOGA_PACKAGE_DIR}" COMPONENT development)
  install(EXPORT moga NAMESPACE moga:: FILE mogaTargets.cmake DESTINATION "${MOGA_PACKAGE_DIR}" COMPONENT development)
  install(DIRECTORY moga DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development FILES_MATCHING PATTERN "*.h")
endfunction()

function(moga_debian_packages)
  set(CPACK_GENERATOR DEB)
  set(CPACK_DEB_COMPONENT_INSTALL ON)
  set(CPACK_COMPONENTS_ALL program development)
  set(CPACK_PACKAGE_CONTACT "the authors of moga")
  set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Long video generation with Mixture-of-Groups Attention")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME moga)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION video)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
  # LibTorch comes from a wheel and is no Debian package.
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${MOGA_TORCH_RPATH})
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libmoga-dev)
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "nlohmann-json3-dev, libtomlplusplus-dev, libpng-dev, libcairo2-dev, libjpeg62-turbo-dev, libsentencepiece-dev, libutf8proc-dev, libcurl4-openssl-dev, libcpp-httplib-dev")
  include(CPack)
endfunction()

function(moga_install_project)
  install(TARGETS moga RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT program)
  if(TARGET moga_nccl)
    install(TARGETS moga_nccl LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/moga" COMPONENT program)
  endif()
  moga_install(moga_train)
  moga_install_texts()
  moga_install_package()
  moga_debian_packages()
endfunction()
