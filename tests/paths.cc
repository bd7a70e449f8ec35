#include "tests/paths.h"

namespace kpksim::test {

// The definitions are given to this file alone, so that the objects of every other file are the
// same in every checkout (ccache shares them).
std::string source_path(const std::string& relative) {
  return std::string(KPKSIM_SOURCE_DIR) + "/" + relative;
}

std::string quoted_source_path(const std::string& relative) {
  return "'" + source_path(relative) + "'";
}

std::string kpksim_binary() { return "'" KPKSIM_BINARY "'"; }

std::string cmake_install(const std::string& prefix) {
  const std::string program = KPKSIM_BINARY;
  return "'" KPKSIM_CMAKE "' --install '" + program.substr(0, program.rfind('/')) +
         "' --strip --prefix '" + prefix + "'";
}

}  // namespace kpksim::test
