#include "sim/kernel/policy.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// "name:parameter=value:..."
Part parse_part(const std::string& policy, const std::string& text) {
  const std::vector<std::string> words = split(text, ':');
  Part part{words[0]};
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string::npos || equals == 0) {
      throw InputError(
          fmt::format("policy '{}': '{}' is no parameter; expected name=value", policy, words[i]));
    }
    if (!part.parameters.emplace(words[i].substr(0, equals), words[i].substr(equals + 1)).second) {
      throw InputError(fmt::format("policy '{}': parameter '{}' is given twice", policy,
                                   words[i].substr(0, equals)));
    }
  }
  return part;
}

template <class Choices>
std::size_t index_of(const Choices& choices, const std::string& name, std::string_view kind) {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].name == name) return i;
    known.emplace_back(choices[i].name);
  }
  throw InputError(fmt::format("'{}' is not a {}{}", name, kind, suggest(name, known)));
}

std::string text_of(const Part& part) {
  std::string text = part.name;
  for (const auto& [name, value] : part.parameters) text += fmt::format(":{}={}", name, value);
  return text;
}

const ProtectionInfo& protection_of(const Policy& policy) {
  return Protections::find(policy.protection.name, "protection");
}

bool is_x86(const cpu::CoreProfile& core) { return core.architecture == cpu::Architecture::kX86; }

// Is it for the core's architecture?
bool is_for(const ProtectionInfo& protection, const cpu::CoreProfile& core) {
  return is_x86(core) ? protection.x86 : protection.aarch64;
}
bool can_reach(const cpu::CoreProfile& core, Reach reach) {
  return reach == Reach::kBroadcast || (reach == Reach::kInvlpgb) == is_x86(core);
}
bool lacks(const cpu::CoreProfile& core, const std::optional<CoreFeature>& needed) {
  return needed && !(core.*needed->has);
}

// The protection that windows and allocators are compared under.
const ProtectionInfo& natural_protection(const cpu::CoreProfile& core) {
  for (const ProtectionInfo* p : Protections::all()) {
    if (is_for(*p, core) && !lacks(core, p->needs) && !p->windows.empty()) return *p;
  }
  throw ModelError("no protection has windows");
}

// Allocators that take tables of splits back.
std::vector<std::string_view> rejoining_allocators() {
  std::vector<std::string_view> out;
  for (const AllocatorInfo* a : Allocators::all()) {
    if (a->rejoins) out.push_back(a->name);
  }
  return out;
}

// Why the core cannot have this linear map, or nothing.
std::optional<std::string> reason_against_map(const Policy& policy, const cpu::CoreProfile& core) {
  const LinearMapSettings map = linear_map_of(policy);
  if (is_x86(core)) {
    if (policy.linear_map == Granularity::kContPte) {
      return fmt::format("core '{}' is x86-64, which has no contiguous bit: use 'pte' or 'block'",
                         core.name);
    }
    if (!policy.map_parameters.empty()) {
      return fmt::format("core '{}' is x86-64: the parameters of linear map 'block' are AArch64's",
                         core.name);
    }
    return std::nullopt;
  }
  // Nothing is ever split where nobody changes a part of a block: Linux takes blocks on any core
  // then (can_set_direct_map(), force_pte_mapping()).
  constexpr unsigned kSplitsInPlace = 2;
  if (map.granularity == Granularity::kPte || core.bbm_level >= kSplitsInPlace) return std::nullopt;
  if (map.start == MapStart::kRepainted) {
    return fmt::format(
        "core '{}' has FEAT_BBM level {}, so Linux boots it with pages and never "
        "takes the blocks that it would repaint: use 'pte'",
        core.name, core.bbm_level);
  }
  if (map.collapse) {
    return fmt::format("core '{}' has FEAT_BBM level {}, and joining blocks in place needs level 2",
                       core.name, core.bbm_level);
  }
  if (!protection_of(policy).changes_map) return std::nullopt;
  return fmt::format(
      "core '{}' has FEAT_BBM level {}: splitting live leaves of linear map '{}', as "
      "protection '{}' does to mark pages, needs level 2; Linux maps with pages "
      "there, which is 'pte'",
      core.name, core.bbm_level, name_of(map.granularity), policy.protection.name);
}

}  // namespace

const std::vector<ParameterInfo>& map_parameters(Granularity map) {
  static const std::vector<ParameterInfo> none;
  static const std::vector<ParameterInfo> block = [] {
    std::vector<ParameterInfo> out = {
        choice_parameter(
            "start",
            "what boot leaves: as-mapped, the blocks that it mapped; repainted, the pages "
            "that it splits all of them into where a core that started later could "
            "not stand splits of live blocks",
            "as-mapped", {"as-mapped", "repainted"}),
        switch_parameter("collapse",
                         "blocks and runs whose leaves are alike again are joined; no arm64 kernel "
                         "does that")};
    for (ParameterInfo& p : out) p.quiet = true;
    return out;
  }();
  return map == Granularity::kBlock ? block : none;
}

LinearMapSettings linear_map_of(const Policy& policy) {
  const Parameters p(fmt::format("linear map '{}'", name_of(policy.linear_map)),
                     map_parameters(policy.linear_map), policy.map_parameters);
  LinearMapSettings out{policy.linear_map};
  if (policy.linear_map != Granularity::kBlock) return out;
  if (p.choice("start") == "repainted") out.start = MapStart::kRepainted;
  out.collapse = p.is_on("collapse");
  return out;
}

Granularity booted_map(const Policy& policy) {
  const LinearMapSettings map = linear_map_of(policy);
  return map.start == MapStart::kRepainted ? Granularity::kPte : map.granularity;
}

Granularity parse_granularity(const std::string& name) {
  return static_cast<Granularity>(index_of(kGranularities, name, "linear map granularity"));
}

WindowScope parse_window_scope(const std::string& name) {
  return static_cast<WindowScope>(index_of(kWindowScopes, name, "window"));
}

Reach parse_reach(const std::string& name) {
  return static_cast<Reach>(index_of(kReaches, name, "reach of a TLBI"));
}

Policy parse_policy(const std::string& text) {
  const std::vector<std::string> parts = split(text, ',');
  if (parts.size() != 3 && parts.size() != 4) {
    throw InputError(
        fmt::format("policy '{}': expected protection[+window],allocator,linear-map[,reach], "
                    "for example kpkeys-poe+lazy,pba,block",
                    text));
  }
  Policy policy;
  policy.protection = parse_part(text, parts[0]);
  std::string& name = policy.protection.name;
  if (const std::size_t plus = name.find('+', 1); plus != std::string::npos) {
    // A protection may have a '+' in its own name: what it ends in is the window.
    const std::size_t last = name.rfind('+');
    const auto& all = Protections::all();
    if (std::none_of(all.begin(), all.end(), [&](const auto* p) { return p->name == name; })) {
      policy.window = parse_window_scope(name.substr(last + 1));
      name.resize(last);
    }
  }
  policy.allocator = parse_part(text, parts[1]);
  const Part map = parse_part(text, parts[2]);
  policy.linear_map = parse_granularity(map.name);
  policy.map_parameters = map.parameters;
  if (parts.size() == 4) policy.reach = parse_reach(parts[3]);
  return policy;
}

std::vector<std::string> parts_of(const Policy& policy) {
  std::string protection = policy.protection.name;
  if (policy.window) protection += fmt::format("+{}", name_of(*policy.window));
  protection += text_of(Part{"", policy.protection.parameters});
  std::vector<std::string> parts = {
      protection, text_of(policy.allocator),
      text_of(Part{std::string(name_of(policy.linear_map)), policy.map_parameters})};
  if (policy.reach != Reach::kBroadcast) parts.emplace_back(name_of(policy.reach));
  return parts;
}

std::string text_of(const Policy& policy) {
  return fmt::format("{}", fmt::join(parts_of(policy), ","));
}

bool protects_nothing(const Policy& policy) {
  return !protection_of(policy).marks.empty() &&
         !Allocators::find(policy.allocator.name, "page-table allocator").marks;
}

std::optional<WindowScope> window_of(const Policy& policy) {
  const ProtectionInfo& info = protection_of(policy);
  if (policy.window || info.windows.empty()) return policy.window;
  return info.windows.front();
}

std::optional<std::string> reason_against(const Policy& policy) {
  const ProtectionInfo& protection = protection_of(policy);
  const AllocatorInfo& allocator = Allocators::find(policy.allocator.name, "page-table allocator");
  const Parameters settings(fmt::format("protection '{}'", protection.name), protection.parameters,
                            policy.protection.parameters);
  const Parameters own(fmt::format("allocator '{}'", allocator.name), allocator.parameters,
                       policy.allocator.parameters);
  if (policy.window && std::find(protection.windows.begin(), protection.windows.end(),
                                 *policy.window) == protection.windows.end()) {
    std::vector<std::string_view> names;
    for (const WindowScope w : protection.windows) names.push_back(name_of(w));
    const std::string choice =
        names.empty() ? "it has none" : fmt::format("it has: {}", fmt::join(names, ", "));
    return fmt::format("protection '{}' has no window '{}'; {}{}{}", protection.name,
                       name_of(*policy.window), choice,
                       protection.other_windows.empty() ? "" : "; ", protection.other_windows);
  }
  if (allocator.marks && protection.marks.empty()) {
    return fmt::format(
        "allocator '{}' marks pages, but protection '{}' tells none apart; use 'buddy'",
        allocator.name, protection.name);
  }
  const LinearMapSettings map = linear_map_of(policy);
  const std::string map_text = parts_of(policy)[2];
  if (const std::string_view why = allocator.against(booted_map(policy)); !why.empty()) {
    return fmt::format("allocator '{}' with linear map '{}': {}", allocator.name, map_text, why);
  }
  if (map.collapse && map.start == MapStart::kRepainted) {
    return fmt::format("linear map '{}': after boot it has no blocks that could be joined",
                       map_text);
  }
  if (map.collapse && !allocator.rejoins) {
    return fmt::format(
        "linear map '{}': allocator '{}' takes no tables of splits back; use one of "
        "{}",
        map_text, allocator.name, fmt::join(rejoining_allocators(), ", "));
  }
  const std::string why =
      protection.against({settings, window_of(policy), allocator, policy.linear_map});
  if (!why.empty()) return fmt::format("protection '{}': {}", protection.name, why);
  return std::nullopt;
}

std::optional<std::string> reason_against(const Policy& policy, const cpu::CoreProfile& core) {
  const ProtectionInfo& protection = protection_of(policy);
  if (!is_for(protection, core)) {
    std::vector<std::string_view> others;
    for (const ProtectionInfo* p : Protections::all()) {
      if (is_for(*p, core) && !lacks(core, p->needs)) others.push_back(p->name);
    }
    return fmt::format(
        "core '{}' is {}: protection '{}' is for the other architecture; use one of {}", core.name,
        is_x86(core) ? "x86-64" : "AArch64", protection.name, fmt::join(others, ", "));
  }
  if (lacks(core, protection.needs)) {
    return fmt::format(
        "core '{}' has no {}, which protection '{}' needs; --core can be one that has it: {}",
        core.name, protection.needs->name, protection.name, protection.needs->shipped);
  }
  if (auto reason = reason_against_map(policy, core)) return reason;
  if (!can_reach(core, policy.reach)) {
    return fmt::format(
        "core '{}' is {}, which has no reach '{}': {}", core.name,
        is_x86(core) ? "x86-64" : "AArch64", name_of(policy.reach),
        is_x86(core) ? "leave it out for interrupts, or use 'invlpgb'" : "that is x86-64's");
  }
  return std::nullopt;
}

void check(const Policy& policy) {
  if (const auto reason = reason_against(policy)) throw InputError(*reason);
}

std::vector<Policy> combinations() {
  std::vector<Policy> out;
  for (const ProtectionInfo* p : Protections::all()) {
    std::vector<std::optional<WindowScope>> windows(p->windows.begin(), p->windows.end());
    if (windows.empty()) windows.emplace_back();
    for (const auto& window : windows) {
      for (const AllocatorInfo* a : Allocators::all()) {
        for (std::size_t g = 0; g < kGranularities.size(); ++g) {
          out.push_back({Part{std::string(p->name)}, window, Part{std::string(a->name)},
                         static_cast<Granularity>(g), Reach::kBroadcast});
        }
      }
    }
  }
  return out;
}

std::vector<Policy> every_policy(const cpu::CoreProfile& core) {
  std::vector<Policy> out = combinations();
  std::erase_if(out, [&](const Policy& policy) {
    return reason_against(policy, core) || reason_against(policy);
  });
  return out;
}

std::vector<Policy> natural_policies(const cpu::CoreProfile& core) {
  const std::vector<Policy> every = every_policy(core);
  const ProtectionInfo& shown_by = natural_protection(core);  // windows and allocators are
  std::vector<Policy> out;
  // The first of all combinations that `fits`, by the order of lists.
  const auto first = [&](const auto& fits) {
    const auto it = std::find_if(every.begin(), every.end(), fits);
    if (it != every.end() && std::find(out.begin(), out.end(), *it) == out.end())
      out.push_back(*it);
  };
  for (std::size_t g = 0; g < kGranularities.size(); ++g) {
    first([&](const Policy& p) { return p.linear_map == static_cast<Granularity>(g); });
  }
  // Is it what it is meant for: pages marked if they can be, on the allocator's linear map?
  const auto meant = [](const Policy& p) {
    const AllocatorInfo& a = Allocators::find(p.allocator.name, "page-table allocator");
    return !protects_nothing(p) && p.linear_map == a.natural;
  };
  for (const ProtectionInfo* info : Protections::all()) {
    first([&](const Policy& p) { return p.protection.name == info->name && meant(p); });
  }
  for (const WindowScope window : shown_by.windows) {
    first([&](const Policy& p) {
      return p.protection.name == shown_by.name && p.window == window && meant(p);
    });
  }
  for (const AllocatorInfo* a : Allocators::all()) {
    first([&](const Policy& p) {
      return p.protection.name == shown_by.name && p.window == WindowScope::kLazy &&
             p.allocator.name == a->name && p.linear_map == a->natural;
    });
  }
  for (std::size_t r = 1; r < kReaches.size(); ++r) {
    Policy other = out.front();
    other.reach = static_cast<Reach>(r);
    if (can_reach(core, other.reach)) out.push_back(other);
  }
  return out;
}

}  // namespace kpksim::kernel
