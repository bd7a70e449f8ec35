// kpksim list: the policies, core profiles and workloads that exist.

#include <fmt/format.h>

#include <iostream>

#include "app/options.h"
#include "sim/base/error.h"

namespace kpksim::app {
namespace {

void line(std::string_view name, std::string_view description) {
  std::cout << fmt::format("  {:<20} {}\n", name, description);
}

void policies() {
  std::cout << "protection\n";
  for (const auto& p : kernel::protections()) line(p.name, p.description);
  std::cout << "page-table allocator\n";
  for (const auto& p : kernel::allocators()) line(p.name, p.description);
  std::cout << "linear map\n";
  for (const auto& p : kernel::granularities()) line(p.name, p.description);
  std::cout
      << "A policy is protection[+batch],allocator,linear-map; +batch: one window for each lazy\n"
         "MMU section. compare shows by default\n";
  for (const std::string& p : default_policies()) std::cout << "  " << p << "\n";
  std::cout << "--leave-out-tlbi takes\n ";
  for (const std::string_view site : kernel::kFlushSiteNames) std::cout << " " << site;
  std::cout << "\n";
}

// Every number of a core profile: what it is, how far it may lie off, and who says so.
void numbers(const cpu::CoreProfile& core) {
  for (const ProfileEntry& e : core.entries) {
    const std::string range =
        e.range ? fmt::format("{} to {}", e.range->first, e.range->second) : std::string();
    std::cout << fmt::format("    {:<26} {:<10} {:<16} {:<10}  {}\n", e.group + "/" + e.name,
                             e.value, range, e.confidence, e.source);
  }
}

void cores(bool verbose) {
  for (const std::string& name : shipped_cores()) {
    const cpu::CoreProfile core = read_core(name);
    line(name, core.description);
    if (verbose) numbers(core);
  }
}

void kernels() {
  for (const std::string& name : shipped_kernels()) line(name, read_kernel(name).description);
}

void workloads() {
  for (const std::string& name : shipped_workloads()) line(name, read_workload(name).description);
}

}  // namespace

int list(const std::vector<std::string>& arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  const bool verbose = arguments.size() == 2 && what == "cores" && arguments[1] == "--verbose";
  if (arguments.size() > 1 && !verbose) {
    throw InputError(fmt::format("list {}: '{}' is not an option{}", what, arguments[1],
                                 suggest(arguments[1], {"--verbose"})));
  }
  if (what == "policies") {
    policies();
  } else if (what == "cores") {
    cores(verbose);
  } else if (what == "kernels") {
    kernels();
  } else if (what == "workloads") {
    workloads();
  } else {
    throw InputError(fmt::format("list: '{}' cannot be listed{}", what,
                                 suggest(what, {"policies", "cores", "kernels", "workloads"})));
  }
  return 0;
}

}  // namespace kpksim::app
