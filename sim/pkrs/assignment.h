#pragma once
// Which class of protected objects gets which key, under a budget of keys. Key 0 is for what is not
// protected, so a budget of 8 has 7 keys for classes.
//
// A context is a set of rights, for each key one. Where two classes share a key, a context that
// writes one of them can write the other: over-privilege. A secret is not readable outside its
// contexts, so it never shares with what everybody reads.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/types.h"

namespace kpksim::pkrs {

struct ClassDemand {
  std::string name;
  std::uint64_t bytes = 0;
  bool secret = false;
  bool pinned = false;  // its key is never given to another: page tables, which keying writes
  // Interrupts use it too, whatever context they come in, and so find a key for it beside that
  // context's: credentials, which RCU's callbacks write.
  bool anywhere = false;
};
struct ContextDemand {
  std::string name;
  std::vector<bool> uses;    // by class: it writes it, or of a secret reads it
  std::uint64_t weight = 1;  // of its time
  // By class: a context around it uses it, which needs its key meanwhile. Empty: there is none.
  std::vector<bool> around = {};
};
struct Demand {
  std::vector<ClassDemand> classes;
  std::vector<ContextDemand> contexts;
};

enum class Strategy : std::uint8_t {
  kDedicated,       // a key for each class, or a refusal
  kSharedGraph,     // classes that no context holds apart share (a colouring); or a refusal
  kSharedBalanced,  // pairs are merged, the cheapest first, until the keys suffice
  kHierarchical,    // keys are levels: a context can write its own and all below
  kVirtualised,     // keys go from class to class: what a context does not find is keyed anew
  kOptimal,         // the least over-privilege that there is
};
inline constexpr std::size_t kStrategies = 6;
inline constexpr std::size_t kMostClassesOfOptimal = 17;  // 16 beside page tables
std::string_view name_of(Strategy strategy);
Strategy parse_strategy(const std::string& name);  // InputError with the nearest name
std::string_view description_of(Strategy strategy);

struct Assignment {
  Strategy strategy = Strategy::kDedicated;
  unsigned budget = 0;
  std::vector<PkeyIndex> key;  // by class
  // By context and class: it can write the class (of a secret: access it).
  std::vector<std::vector<bool>> reaches;
  // Virtualised: keys from `first_free` on are given out as they are needed, those from
  // `first_secret` on to secrets alone, so that what a key allows at rest stays the same. A class
  // that has none carries the key of the parked, which nobody can write, and parked secrets one
  // that nobody can read.
  bool virtualised = false;
  PkeyIndex parked, parked_secret, first_free, first_secret;

  std::string refusal;  // why there is none; empty: there is one
  bool operator==(const Assignment&) const = default;
};

Assignment assign(const Demand& demand, Strategy strategy, unsigned budget);

// The sum over contexts of weight × bytes that the context reaches and does not use. Of a
// virtualised assignment: 0, for a context has the keys of its own classes alone.
__extension__ using Cost = unsigned __int128;
Cost over_privilege(const Demand& demand, const Assignment& assignment);

// Each class has a key below the budget, no secret shares with another kind, what a context uses it
// reaches. An empty text, or what is wrong.
std::string illegal(const Demand& demand, const Assignment& assignment);

}  // namespace kpksim::pkrs
