#pragma once
// What became of an attack: each strike with the fault that it met, the verdict, and what proves
// it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/attack/scenario.h"
#include "sim/mmu/allocation_tags.h"
#include "sim/mmu/fault.h"
#include "sim/mmu/walker.h"

namespace kpksim::attack {

// One strike that fell, or whose occasion never came.
struct Blow {
  std::string what;       // "write to page 'object' + 0x28"
  mmu::Fault fault = {};  // that stopped it; none: it went through
  unsigned core = 0;
  // On interleaved cores, in millicycles of simulated time: the moment that it is for, and when its
  // core got there. 0 and 0: not during a phase, or cores take turns.
  std::uint64_t moment = 0, fell = 0;
  bool happened = false;        // its occasion came
  bool on_table = false;        // the page was a page table then
  bool on_freed_table = false;  // or had been one, and was nothing else yet
  // Of an access through the MMU: the address, what a walk of the tables reads for it at that
  // moment, and the registers that decide. `from_tlb`: the TLB holds something else than the walk
  // gives, and the access used that.
  bool by_mmu = false, from_tlb = false;
  VirtAddr address{};
  std::vector<mmu::WalkStep> walk = {};
  std::uint64_t por_el1 = 0, ttbr0_el1 = 0;
  bool overlays = false;  // TCR2_EL1.POE: POR_EL1 counts
  // Where tags are checked: the pointer's and the memory's, and whether the check compares them
  // (or the pointer matches all).
  struct Tags {
    mmu::MemoryTag pointer, memory;
    bool compared = false;
  };
  std::optional<Tags> tags = {};
};

enum class Outcome : std::uint8_t {
  kStoppedByFault,      // the access was refused
  kStoppedByAllocator,  // each access went through, but the page is no table
  kFreedTable,          // each went through, and what was a table is none any more
  kNoEffect,            // each access went through, and leads nowhere
  kNoOccasion,          // under this policy the moment never came
  kNotModelled,         // the policy would have keys for the classes, and the model has not
  kSucceeded,
};

struct Verdict {
  Outcome outcome = Outcome::kNoEffect;
  std::vector<Blow> blows;
  std::string proof;       // of a success: address and frame
  std::string ended;       // not empty: the workload could not run on with a forged root, and why
  bool x86 = false;        // the core is of x86-64, whose faults have other words
  bool oops = false;       // the kernel's own code met a fault, the last of `blows`
  bool tag_tried = false;  // a pointer of the attacker's had a tag
  // Of policies with tags, where the right one succeeds: so many draws of the tags, of which so
  // many succeeded.
  unsigned draws = 1, successes = 0;
  // Of a strike that takes turns: at so many points it fell, at so many of them it succeeded; the
  // rest is of the first such point, or of the first point: `point`, from 1 on.
  std::uint64_t points = 0, points_succeeded = 0, point = 1;
};

// The interval that Wilson's score gives for a share of `hits` in `n` draws, at 95 % (E. B. Wilson,
// 1927): it stays within [0, 1], and says something of a share that no draw has shown.
std::pair<double, double> wilson(unsigned hits, unsigned n);

std::string_view name_of(Outcome outcome);
// The verdict in a few words: "overlay fault, level 3", "succeeds", "allocator".
std::string text_of(const Verdict& verdict);
// Where an attack under a policy first goes another way than without protection, in words; empty:
// nowhere.
std::string first_difference(const Verdict& verdict, const Verdict& without);

}  // namespace kpksim::attack
