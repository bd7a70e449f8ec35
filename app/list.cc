// kpksim list: the policies, core profiles and workloads that exist.

#include <fmt/core.h>

#include <iostream>

#include "app/command_line.h"
#include "app/options.h"
#include "sim/base/error.h"
#include "sim/base/printable.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;

void line(std::string_view name, std::string_view description) {
  std::cout << fmt::format("  {} {}\n", pad_right(printable(name), 20), printable(description));
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

// Every number of a profile: what it is, how far it may lie off, and who says so.
void numbers(const std::vector<ProfileEntry>& entries) {
  for (const ProfileEntry& e : entries) {
    const std::string range =
        e.range ? fmt::format("{} to {}", e.range->first, e.range->second) : std::string();
    std::cout << fmt::format(
        "    {} {} {:<16} {:<10}  {}\n", pad_right(printable(e.group + "/" + e.name), 33),
        pad_right(printable(e.value), 10), range, e.confidence, printable(e.source));
  }
}

void cores(bool verbose) {
  for (const std::string& name : shipped_cores()) {
    const cpu::CoreProfile core = read_core(name);
    line(name, core.description);
    if (verbose) numbers(core.entries);
  }
}

void kernels(bool verbose) {
  for (const std::string& name : shipped_kernels()) {
    const kernel::KernelProfile kernel = read_kernel(name);
    line(name, kernel.description);
    if (verbose) numbers(kernel.entries);
  }
}

void workloads() {
  for (const std::string& name : shipped_workloads()) line(name, read_workload(name).description);
}

}  // namespace

int list(const std::vector<std::string>& arguments) {
  std::string what;
  bool verbose = false;
  po::options_description options(
      "kpksim list [--verbose] policies|cores|kernels|workloads\n"
      "What there is to name in other commands");
  options.add_options()(
      "verbose,v", po::bool_switch(&verbose),
      "cores and kernels: every number, its range, its source and how sure it is");
  constexpr const char* kExamples =
      "  kpksim list workloads\n"
      "  kpksim list cores --verbose\n";
  if (!read_command_line(arguments, options, kExamples, {{"what", text_option("list", what), 1}}))
    return 0;
  if (what == "policies") {
    policies();
  } else if (what == "cores") {
    cores(verbose);
  } else if (what == "kernels") {
    kernels(verbose);
  } else if (what == "workloads") {
    workloads();
  } else {
    const std::vector<std::string> known = {"policies", "cores", "kernels", "workloads"};
    throw InputError(
        what.empty() ? fmt::format("list: say what{}", suggest(what, known))
                     : fmt::format("list: '{}' cannot be listed{}", what, suggest(what, known)));
  }
  return 0;
}

}  // namespace kpksim::app
