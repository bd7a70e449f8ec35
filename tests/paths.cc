#include "tests/paths.h"

namespace kpksim::test {

// The two definitions are given to this file alone, so that the objects of every other file are the
// same in every checkout (ccache shares them).
std::string source_path(const std::string& relative) {
  return std::string(KPKSIM_SOURCE_DIR) + "/" + relative;
}

std::string kpksim_binary() { return "'" KPKSIM_BINARY "'"; }

}  // namespace kpksim::test
