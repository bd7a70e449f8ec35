#pragma once
// An attack as data: a workload (workloads/README.md), what the attacker does during it, and what
// would be a success. workloads/attacks/README.md describes the format.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/workload/operation.h"

namespace kpksim::attack {

// A page that a strike names.
struct PageRef {
  enum class Kind : std::uint8_t {
    kNamed,    // what a "take" before it called so
    kTable,    // the page table at `level` that maps a place of a task's region
    kRoot,     // the top-level table of a task
    kFrame,    // what a place of a task's region maps
    kLinear,   // the leaf table of the linear map that maps a named page; its pages one by one
    kSwapper,  // the kernel's top-level table
    kVmalloc,  // the leaf table of a vmalloc region
    kMarked,   // during a mark: the page that becomes a table, or was one
  };
  Kind kind = Kind::kNamed;
  std::string name;  // of the page
  std::uint32_t task = 0;
  std::uint32_t region = 0;
  std::uint64_t offset = 0;
  unsigned level = 3;
};

enum class Primitive : std::uint8_t {
  kTake,        // the kernel allocates a page for an object, and the attacker has a pointer to it
  kFree,        // the kernel frees it, and the pointer dangles
  kMapUser,     // a page of the kernel is mapped in a task's region, as drivers do for rings
  kWrite,       // a store of 8 bytes through the linear map
  kRead,        // a load
  kUserWrite,   // a store of the task by a mapping that it has
  kCopyToUser,  // the kernel's own copy_to_user(), with a pointer to the kernel
  kAliasWrite,  // a store through another kernel mapping of the page (vmap)
  kFlip,        // one bit of a word in memory, beside the MMU (DRAM)
  kDma,         // a device writes the word, beside the MMU
  kSetSaved,    // the value of the key register that an exception has saved
  kSetRoot,     // the saved TTBR0_EL1 of a task points to a page
};

enum class When : std::uint8_t {
  kAtRest,     // after a phase
  kWindow,     // an interrupt in a window
  kOtherCore,  // another core while a window is open
  kMarking,    // a page is allocated, and not yet marked
  kUnmarking,  // is unmarked, and not yet free
};

// What is stored.
struct Forged {
  enum class Kind : std::uint8_t { kNumber, kLeaf, kTable } kind = Kind::kNumber;
  std::uint64_t number = 0;
  PageRef page;  // that a forged descriptor leads to
};

struct Strike {
  Primitive primitive = Primitive::kWrite;
  When when = When::kAtRest;
  std::size_t phase = 0;  // after it, or during it
  std::uint64_t nth = 1;  // of the occasions during it
  PageRef page;
  std::uint64_t offset = 0;  // in the page
  Forged value;
  unsigned bit = 0;                    // of kFlip
  std::uint32_t task = 0, region = 0;  // of kMapUser, kUserWrite, kSetRoot
  std::uint64_t place = 0;
  unsigned order = 0;  // of kTake
  bool movable = false;
  std::string pointer;  // for messages: "/strikes/2"
};

struct Goal {
  // The task reaches the page by an address of its own; or a strike has changed the page.
  enum class Kind : std::uint8_t { kReach, kChange } kind = Kind::kReach;
  std::uint32_t task = 0, region = 0;
  PageRef page;
  std::string task_name, region_name;
};

struct Scenario {
  std::string name, description, source;
  workload::Workload workload;
  std::vector<Strike> strikes;
  Goal goal;
};

extern const char* const kAttackSchema;

// InputError with file, line and column.
Scenario read_scenario(const std::string& path);

}  // namespace kpksim::attack
