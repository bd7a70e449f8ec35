#pragma once
// A policy: which protection with which windows, which page-table allocator, which linear map, and
// how far a TLBI reaches. Each part is chosen by name, with parameters of its own, as text or JSON:
//   kpkeys-poe+lazy:series=v9,pba:reserve=8:orders=9/4/2,block
//   none,buddy,block,local-if-alone

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/parameter.h"

namespace kpksim::cpu {
struct CoreProfile;
}

namespace kpksim::kernel {

// What the linear map is made of.
enum class Granularity : std::uint8_t { kPte, kContPte, kBlock };

// How wide a window is: one for each entry written, for each lazy MMU section, or from taking a
// page-table lock to dropping it. What is written outside the wider ones has one of its own.
enum class WindowScope : std::uint8_t { kEntry, kLazy, kLock };

// How far a TLBI of user memory reaches, and by what. Kernel memory is every core's.
enum class Reach : std::uint8_t { kBroadcast, kLocalIfAlone, kIpi, kDomain, kInvlpgb };

struct NamedChoice {
  std::string_view name, description;
};
inline constexpr std::array<NamedChoice, 3> kGranularities = {{
    {"pte", "4 KB pages, nothing is ever split"},
    {"contpte", "4 KB pages with the contiguous bit, in runs of 64 KB"},
    {"block", "1 GB and 2 MB blocks with contiguous runs, split where a page needs it"},
}};
// The parameters of a linear map of this kind.
const std::vector<ParameterInfo>& map_parameters(Granularity map);
inline constexpr std::array<NamedChoice, 3> kWindowScopes = {{
    {"entry", "a window for each page-table entry written"},
    {"lazy", "one window for each lazy MMU section"},
    {"lock", "one window from taking a page-table lock to dropping it"},
}};
inline constexpr std::array<NamedChoice, 5> kReaches = {{
    {"broadcast",
     "TLBIs go to all cores (AArch64); on x86-64 interrupts to the cores that have loaded it"},
    {"local-if-alone", "to this core alone while no other has run the address space"},
    {"ipi", "by interrupts to the cores that have run the address space, as on x86-64"},
    {"domain", "broadcast to the cores that have run the address space (FEAT_TLBID)"},
    {"invlpgb", "x86-64: broadcast for address spaces of more than three cores, as on AMD's"},
}};
constexpr std::string_view name_of(Reach r) { return kReaches[static_cast<unsigned>(r)].name; }
constexpr std::string_view name_of(Granularity g) {
  return kGranularities[static_cast<unsigned>(g)].name;
}
constexpr std::string_view name_of(WindowScope w) {
  return kWindowScopes[static_cast<unsigned>(w)].name;
}

// A part by name, with what was given of its parameters.
struct Part {
  std::string name;
  GivenParameters parameters = {};

  bool operator==(const Part&) const = default;
};

struct Policy {
  Part protection{"none"};
  // Unset: the protection's usual one.
  std::optional<WindowScope> window = {};
  Part allocator{"buddy"};
  Granularity linear_map = Granularity::kPte;
  Reach reach = Reach::kBroadcast;
  GivenParameters map_parameters = {};  // of the linear map

  bool operator==(const Policy&) const = default;
};

// InputError: malformed, or a name that nothing has. Whether the parts go together, check() says.
Policy parse_policy(const std::string& text);
// As parse_policy() reads it, without parameters that were not given.
std::string text_of(const Policy& policy);
// The same in parts, one below the other: "kpkeys-poe+lazy:series=v9", "pba", "block"; and the
// reach, if it is not broadcast.
std::vector<std::string> parts_of(const Policy& policy);

Granularity parse_granularity(const std::string& name);
WindowScope parse_window_scope(const std::string& name);
Reach parse_reach(const std::string& name);

// What boot leaves of a linear map of blocks: blocks; or pages, into which it has split them, as a
// core that started later could not stand splits of live blocks.
enum class MapStart : std::uint8_t { kAsMapped, kRepainted };
struct LinearMapSettings {
  Granularity granularity = Granularity::kPte;
  MapStart start = MapStart::kAsMapped;
  bool collapse = false;  // blocks that came whole again are joined
};
// InputError for a parameter that is none.
LinearMapSettings linear_map_of(const Policy& policy);
// What the map is made of once the kernel has booted.
Granularity booted_map(const Policy& policy);

// The window that a run under `policy` has; none: the protection has no windows.
std::optional<WindowScope> window_of(const Policy& policy);
// Its allocator marks none of the pages that its protection would tell apart: windows are paid for,
// and every table stays writable.
bool protects_nothing(const Policy& policy);

// Why the parts do not go together, or nothing. InputError for a parameter that is none.
std::optional<std::string> reason_against(const Policy& policy);
// Why a core cannot run it, or nothing.
std::optional<std::string> reason_against(const Policy& policy, const cpu::CoreProfile& core);
// InputError with that reason.
void check(const Policy& policy);

// All combinations of names, with default parameters and reach, whether they go together or not.
std::vector<Policy> combinations();
// One of each protection, window, allocator, linear map and reach, each in a natural combination;
// or all combinations that go together, with default parameters. Those that `core` can run.
std::vector<Policy> natural_policies(const cpu::CoreProfile& core);
std::vector<Policy> every_policy(const cpu::CoreProfile& core);

}  // namespace kpksim::kernel
