# find_package(kpksim): the target kpksim::kpksim is the simulator without its command line.
include(CMakeFindDependencyMacro)
find_dependency(fmt)
find_dependency(nlohmann_json)
find_dependency(Boost COMPONENTS context)
find_dependency(ZLIB)
find_dependency(SQLite3)
find_dependency(Threads)
find_dependency(PkgConfig)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
include(${CMAKE_CURRENT_LIST_DIR}/kpksimTargets.cmake)
# As in the build: all of the archive, for parts register themselves.
add_library(kpksim::kpksim INTERFACE IMPORTED)
target_link_libraries(kpksim::kpksim INTERFACE $<LINK_LIBRARY:WHOLE_ARCHIVE,kpksim::archive>)
