# What is installed beside the program, and Debian packages of both: kpksim runs, kpksim-dev is for
# who extends the model (find_package(kpksim), examples/allocator).

# The one library whose name changes from a release of Debian to the next comes along, so that a
# package that was built on one installs on the next.
set_target_properties(kpksim PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/kpksim")
get_target_property(fmt_type fmt::fmt TYPE)
if(fmt_type STREQUAL "SHARED_LIBRARY")
  install(FILES $<TARGET_FILE:fmt::fmt> DESTINATION lib/kpksim
    RENAME $<TARGET_SONAME_FILE_NAME:fmt::fmt>)
endif()

set(config ${CMAKE_INSTALL_LIBDIR}/cmake/kpksim)
install(TARGETS kpksim_needs kpksim_archive EXPORT kpksim
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(EXPORT kpksim NAMESPACE kpksim:: FILE kpksimTargets.cmake DESTINATION ${config} COMPONENT dev)
install(DIRECTORY sim DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kpksim COMPONENT dev
  FILES_MATCHING PATTERN *.h)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT dev)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/kpksimConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES cmake/kpksimConfig.cmake ${CMAKE_BINARY_DIR}/kpksimConfigVersion.cmake
  DESTINATION ${config} COMPONENT dev)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "The kpksim authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY
  "architectural simulator of page tables that protection keys protect")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME kpksim)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
# The versions of Debian 12, the oldest release that a package is built on.
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS
  "libc6 (>= 2.36), libgcc-s1, libstdc++6 (>= 12), libzstd1 (>= 1.5), zlib1g, libsqlite3-0 (>= 3.40)")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "python3, python3-matplotlib")  # kpksim plot
set(CPACK_DEBIAN_DEV_PACKAGE_NAME kpksim-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "kpksim (= ${PROJECT_VERSION}), g++, cmake (>= 3.24), pkg-config, \
libboost-context-dev, libfmt-dev, nlohmann-json3-dev, libzstd-dev, zlib1g-dev, libsqlite3-dev")
include(CPack)
