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

void cores() {
  for (const std::string& name : shipped_cores()) line(name, read_core(name).description);
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
  if (what == "policies") {
    policies();
  } else if (what == "cores") {
    cores();
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
