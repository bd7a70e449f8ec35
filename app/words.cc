#include "app/words.h"

#include <fmt/core.h>

#include <set>

#include "app/options.h"
#include "sim/base/setting.h"
#include "sim/kernel/fault_site.h"
#include "sim/pkrs/assignment.h"

namespace kpksim::app {
namespace {

std::vector<std::string> cut(const std::string& text, char at) {
  std::vector<std::string> parts = {""};
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// "kpkeys-poe+lazy:series=v9" without its parameters and its window.
std::string bare(const std::string& part) { return part.substr(0, part.find_first_of(":+")); }

using Parameters = std::vector<ParameterInfo>;

template <class Registry>
Parameters parameters_in(const Registry& registry, const std::string& name) {
  for (const auto* info : registry) {
    if (info->name == name) return info->parameters;
  }
  return {};
}

// Of the part of a policy at `place`.
Parameters parameters_of(std::size_t place, const std::string& name) {
  if (place == 0) return parameters_in(kernel::Protections::all(), name);
  if (place == 1) return parameters_in(kernel::Allocators::all(), name);
  for (const kernel::NamedChoice& map : kernel::kGranularities) {
    if (place == 2 && map.name == name)
      return kernel::map_parameters(kernel::parse_granularity(name));
  }
  return {};
}

// "pba:keep=16:" and a parameter, or "pba:shrink=" and what may be chosen.
std::vector<std::string> with_parameters(std::size_t place, const std::string& head,
                                         const std::string& part) {
  const std::size_t last = part.rfind(':'), equals = part.find('=', last);
  const std::string before = head + part.substr(0, last + 1);
  std::vector<std::string> out;
  for (const ParameterInfo& p : parameters_of(place, bare(part))) {
    if (equals == std::string::npos) {
      out.push_back(fmt::format("{}{}=", before, p.name));
    } else if (p.name == part.substr(last + 1, equals - last - 1)) {
      for (const auto& choice : p.choices)
        out.push_back(fmt::format("{}{}={}", before, p.name, choice));
    }
  }
  return out;
}

// The parts of a combination, in their order.
std::vector<std::string> names_of(const kernel::Policy& policy) {
  return {policy.protection.name, policy.allocator.name, std::string(name_of(policy.linear_map))};
}

}  // namespace

std::vector<std::string> core_words(const std::string&) { return shipped_cores(); }
std::vector<std::string> kernel_words(const std::string&) { return shipped_kernels(); }
std::vector<std::string> workload_words(const std::string&) { return shipped_workloads(); }
std::vector<std::string> attack_words(const std::string&) { return shipped_attacks(); }
std::vector<std::string> classes_words(const std::string&) { return shipped_classes(); }
std::vector<std::string> policies_words(const std::string&) { return {"all", "every"}; }

std::vector<std::string> policy_words(const std::string& begun) {
  const std::vector<std::string> parts = cut(begun, ',');
  const std::size_t place = parts.size() - 1;
  const std::string& part = parts.back();
  const std::string head = begun.substr(0, begun.size() - part.size());
  std::set<std::string> out;
  if (part.find(':') != std::string::npos) return with_parameters(place, head, part);
  constexpr std::size_t kReach = 3;
  if (place == kReach) {
    for (const kernel::NamedChoice& reach : kernel::kReaches)
      out.insert(head + std::string(reach.name));
  }
  for (const kernel::Policy& policy : kernel::combinations()) {
    const std::vector<std::string> names = names_of(policy);
    bool fits = place < names.size();
    for (std::size_t i = 0; fits && i < place; ++i) fits = bare(parts[i]) == names[i];
    if (!fits || kernel::reason_against(policy)) continue;
    const char* const more = place + 1 < names.size() ? "," : "";
    out.insert(head + names[place] + more);
    if (place == 0 && policy.window)
      out.insert(fmt::format("{}+{},", names[0], name_of(*policy.window)));
  }
  return {out.begin(), out.end()};
}

std::vector<std::string> strategy_words(const std::string&) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < pkrs::kStrategies; ++i)
    out.emplace_back(name_of(static_cast<pkrs::Strategy>(i)));
  return out;
}

std::vector<std::string> setting_words(const std::string& begun) {
  std::vector<std::string> out;
  const auto add = [&](const char* document, const std::vector<ProfileEntry>& entries) {
    for (const ProfileEntry& e : entries)
      out.push_back(fmt::format("{}:/{}/{}=", document, e.group, e.name));
  };
  if (begun.starts_with("core:")) add("core", read_core("neoverse-v1").entries);
  if (begun.starts_with("kernel:")) add("kernel", read_kernel("linux-6.12-kpkeys").entries);
  if (begun.find(':') == std::string::npos) {
    for (const std::string& document : setting_documents())
      out.push_back(fmt::format("{}:/", document));
  }
  return out;
}

std::vector<std::string> fault_words(const std::string&) {
  std::vector<std::string> out;
  for (const kernel::FaultSiteInfo& site : kernel::fault_sites()) {
    out.push_back(fmt::format("skip:{}", site.name));
    if (!site.moves) continue;
    out.push_back(fmt::format("delay:{}", site.name));
    out.push_back(fmt::format("swap:{}", site.name));
  }
  return out;
}

}  // namespace kpksim::app
