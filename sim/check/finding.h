#pragma once
// What the sanitizer reports: a rule that was broken, where, and what happened before to what it is
// about.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cpu/statistics.h"

namespace kpksim::check {

enum class Rule : std::uint8_t {
  kStaleUse,
  kStaleEntry,
  kBreakBeforeMake,
  kPageFreed,
  kTableFreed,
  kWritableTable,
  kAlias,
  kMissingDsb,
  kMissingIsb,
  kOpenWindow,
  kNoContext,
  // Hints: nothing is wrong, but something is done for nothing.
  kUselessTlbi,
  kWideTlbi,
  kDoubledBarrier,
  kCount
};

struct RuleInfo {
  std::string_view name, description;
  bool hint = false;
};
inline constexpr std::array<RuleInfo, static_cast<std::size_t>(Rule::kCount)> kRules = {{
    {"stale-use", "an access used a translation that software had to have invalidated"},
    {"stale-entry", "a translation is cached that software had to have invalidated"},
    {"break-before-make", "an entry was made while a core had the one before it cached"},
    {"page-freed", "a page was freed while a translation to it could be used"},
    {"table-freed", "a page table was freed, reused or unmarked while it could be walked"},
    {"writable-table",
     "a page table in use, or an object with a key, can be written with the registers at rest"},
    {"alias", "a page table is mapped a second time, with another key"},
    {"missing-dsb", "a TLBI, a walk or a return did not wait for what it depends on"},
    {"missing-isb", "what depends on a register or a mapping came before its ISB"},
    {"open-window", "a window or section is open in an exception's handler, another thread or EL0"},
    {"no-context", "the key register was given a value that is no context of the protection"},
    {"useless-tlbi", "TLBIs of what no core they reach can have cached", true},
    {"wide-tlbi", "TLBIs that reach further than they have to", true},
    {"doubled-barrier", "DSBs with nothing to wait for since the one before", true},
}};
constexpr const RuleInfo& info(Rule rule) { return kRules[static_cast<std::size_t>(rule)]; }

struct Finding {
  Rule rule{};
  std::string text;
  unsigned core = 0;
  cpu::CauseId cause = 0;            // what that core was doing
  std::string place;                 // the phase
  std::uint64_t count = 1;           // as often as the same was found
  std::vector<std::string> history;  // of the first one, the oldest first
};

}  // namespace kpksim::check
