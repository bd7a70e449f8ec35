#include "sim/workload/linux_calls.h"

#include <unordered_set>

namespace kpksim::workload {

bool is_linux_call(std::string_view name) {
  static const std::unordered_set<std::string_view> kNames = [] {
    std::unordered_set<std::string_view> names;
    for (std::string_view rest = kLinuxCalls; !rest.empty();) {
      const std::size_t end = rest.find('\n');
      names.insert(rest.substr(0, end));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return names;
  }();
  return !name.empty() && kNames.contains(name);
}

}  // namespace kpksim::workload
