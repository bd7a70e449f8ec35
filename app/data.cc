#include "app/data.h"

#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>

#include "sim/base/error.h"

namespace kpksim::app {
namespace {

namespace fs = std::filesystem;

bool is_data(const fs::path& folder) {
  std::error_code none;  // one that may not be entered has no data either
  return fs::is_directory(folder / "profiles", none);
}

fs::path find_data() {
  const char* given = std::getenv("KPKSIM_DATA");
  if (given != nullptr && *given != '\0') {
    if (is_data(given)) return given;
    throw InputError(
        fmt::format("KPKSIM_DATA: '{}' has no folder 'profiles'; expected kpksim's data", given));
  }
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path();
  const fs::path candidates[] = {program.parent_path() / "share/kpksim", program / "share/kpksim"};
  for (const fs::path& candidate : candidates) {
    if (is_data(candidate)) return candidate;
  }
  throw InputError(fmt::format("no data in {} or {}; set KPKSIM_DATA to the folder that has them",
                               candidates[0].string(), candidates[1].string()));
}

}  // namespace

std::string data_path(const std::string& relative) {
  static const fs::path folder = find_data();
  return (folder / relative).string();
}

}  // namespace kpksim::app
