// kpksim list: the policies, core profiles and workloads that exist.

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <iostream>
#include <map>

#include "app/command_line.h"
#include "app/options.h"
#include "sim/attack/scenario.h"
#include "sim/base/error.h"
#include "sim/base/printable.h"
#include "sim/kernel/fault_site.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;

void line(std::string_view name, std::string_view description) {
  std::cout << fmt::format("  {} {}\n", pad_right(printable(name), 20), printable(description));
}

void parameters(const std::vector<ParameterInfo>& declared) {
  for (const ParameterInfo& p : declared) {
    std::string values;
    if (p.kind == ParameterInfo::Kind::kChoice) {
      values = fmt::format("{}", fmt::join(p.choices, ", "));
    } else {
      values = p.most == ~0ull ? fmt::format("{} or more", p.least)
                               : fmt::format("{} to {}", p.least, p.most);
      if (!p.unit.empty()) values += fmt::format(" {}", p.unit);
      if (p.kind == ParameterInfo::Kind::kNumbers) values += ", several with /";
    }
    std::cout << fmt::format("      :{}={}  {} ({})\n", p.name, p.usual, printable(p.description),
                             values);
  }
}

// What a part goes together with, and why not with the rest: each reason once, with how many
// combinations it stands against.
template <class Is>
void combinations(const Is& is) {
  std::size_t legal = 0;
  std::map<std::string, std::size_t> reasons;
  for (const kernel::Policy& policy : kernel::combinations()) {
    if (!is(policy)) continue;
    if (const auto reason = kernel::reason_against(policy)) {
      ++reasons[*reason];
    } else {
      ++legal;
    }
  }
  std::cout << fmt::format("      {} combinations\n", legal);
  for (const auto& [reason, n] : reasons) {
    std::cout << fmt::format("      not ({}): {}\n", n, printable(reason));
  }
}

void policies(bool verbose) {
  std::cout << "protection\n";
  for (const kernel::ProtectionInfo* p : kernel::Protections::all()) {
    line(p->name, p->description);
    if (!verbose) continue;
    std::vector<std::string_view> windows;
    for (const kernel::WindowScope w : p->windows) windows.push_back(name_of(w));
    std::cout << fmt::format("      marks pages by: {}; windows: {}; for: {}\n",
                             p->marks.empty() ? "nothing" : p->marks,
                             windows.empty() ? "none" : fmt::format("{}", fmt::join(windows, ", ")),
                             !p->x86       ? "AArch64"
                             : !p->aarch64 ? "x86-64"
                                           : "AArch64, x86-64");
    parameters(p->parameters);
    combinations([&](const kernel::Policy& q) { return q.protection.name == p->name; });
  }
  std::cout << "window\n";
  for (const kernel::NamedChoice& w : kernel::kWindowScopes) line(w.name, w.description);
  std::cout << "page-table allocator\n";
  for (const kernel::AllocatorInfo* a : kernel::Allocators::all()) {
    line(a->name, a->description);
    if (!verbose) continue;
    parameters(a->parameters);
    combinations([&](const kernel::Policy& q) { return q.allocator.name == a->name; });
  }
  std::cout << "linear map\n";
  for (const kernel::NamedChoice& g : kernel::kGranularities) {
    line(g.name, g.description);
    if (verbose) parameters(kernel::map_parameters(kernel::parse_granularity(std::string(g.name))));
  }
  std::cout << "how far a TLBI of user memory reaches\n";
  for (const kernel::NamedChoice& r : kernel::kReaches) line(r.name, r.description);
  std::cout
      << "A policy is protection[+window],allocator,linear-map[,reach]; parameters follow their\n"
         "part, as "
         "pba:reserve=8:orders=9/4/2. compare shows by default\n";
  for (const std::string& p : default_policies()) std::cout << "  " << p << "\n";
}

// What --inject can break, and how.
void sites() {
  for (const kernel::FaultSiteInfo& site : kernel::fault_sites()) {
    std::cout << fmt::format("  {} {} {}\n", pad_right(site.name, 26),
                             site.moves ? "skip, delay, swap" : "skip             ",
                             printable(site.description));
  }
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

void attacks() {
  for (const std::string& name : shipped_attacks()) {
    line(name, attack::read_scenario(attack_path(name)).description);
  }
}

struct Listed {
  const char* what;
  void (*print)(bool verbose);
};
constexpr Listed kListed[] = {{"policies", policies},
                              {"cores", cores},
                              {"kernels", kernels},
                              {"workloads", [](bool) { workloads(); }},
                              {"attacks", [](bool) { attacks(); }},
                              {"sites", [](bool) { sites(); }}};

}  // namespace

int list(const std::vector<std::string>& arguments) {
  std::string what;
  std::vector<std::string> known;
  for (const Listed& listed : kListed) known.emplace_back(listed.what);
  bool verbose = false;
  po::options_description options(
      "kpksim list [--verbose] policies|cores|kernels|workloads|attacks|sites\n"
      "What there is to name in other commands");
  options.add_options()(
      "verbose,v", po::bool_switch(&verbose),
      "cores and kernels: every number, its range, its source and how sure it is; policies: every "
      "parameter, and what goes together");
  constexpr const char* kExamples =
      "  kpksim list workloads\n"
      "  kpksim list cores --verbose\n";
  if (!read_command_line(arguments, options, kExamples,
                         {{"what", text_option("list", what, only(known)), 1}}))
    return 0;
  for (const Listed& listed : kListed) {
    if (what != listed.what) continue;
    listed.print(verbose);
    return 0;
  }
  throw InputError(what.empty()
                       ? fmt::format("list: say what{}", suggest(what, known))
                       : fmt::format("list: '{}' cannot be listed{}", what, suggest(what, known)));
}

}  // namespace kpksim::app
