// kpksim list: the policies, core profiles and workloads that exist.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "app/options.h"
#include "sim/base/error.h"

namespace kpksim::app {
namespace {

void print_folder(const std::string& folder, const std::string& ending) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(data_path(folder))) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(ending) && name != "schema.json") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) std::cout << folder << "/" << name << "\n";
}

}  // namespace

int list(const std::vector<std::string>& arguments) {
  const std::string what = arguments.empty() ? "policies" : arguments[0];
  if (what == "policies") {
    std::cout << "protections\n";
    for (const auto& p : kernel::protections())
      std::cout << fmt::format("  {:<12} {}\n", p.name, p.description);
    std::cout << "page-table allocators\n";
    for (const auto& p : kernel::allocators())
      std::cout << fmt::format("  {:<12} {}\n", p.name, p.description);
    std::cout << "linear maps\n  pte, contpte, block\npolicies that compare shows\n";
    for (const std::string& p : default_policies()) std::cout << "  " << p << "\n";
  } else if (what == "cores") {
    print_folder("profiles/cores", ".json");
  } else if (what == "workloads") {
    print_folder("workloads", ".json");
    print_folder("traces", ".zst");
  } else {
    throw InputError(fmt::format("'{}' cannot be listed{}", what,
                                 suggest(what, {"policies", "cores", "workloads"})));
  }
  return 0;
}

}  // namespace kpksim::app
