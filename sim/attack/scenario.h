#pragma once
// An attack as data: a workload (workloads/README.md), what the attacker does during it, and what
// would be a success. workloads/attacks/README.md describes the format.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/kernel/flush_site.h"
#include "sim/kernel/injector.h"
#include "sim/kernel/object/classes.h"
#include "sim/workload/operation.h"

namespace kpksim::attack {

// A page that a strike names.
struct PageRef {
  enum class Kind : std::uint8_t {
    kNamed,    // what a "take" or "keep" before it called so
    kTable,    // the page table at `level` that maps a place of a task's region
    kRoot,     // the top-level table of a task
    kFrame,    // what a place of a task's region maps
    kLinear,   // the table at `level` of the linear map that maps a named page
    kSwapper,  // the kernel's top-level table
    kVmalloc,  // the leaf table of a vmalloc region
    kMarked,   // during a mark: the page that becomes a table, or was one
    kCred,     // the live credentials of a task
    kClass,    // the first object of a protected class
  };
  Kind kind = Kind::kNamed;
  std::string name;  // of the page
  std::uint32_t task = 0;
  std::uint32_t region = 0;
  std::uint64_t offset = 0;
  unsigned level = 3;
  std::size_t of_class = 0;
  std::string text;  // for people: "the top-level table of 'attacker'"
};

enum class Primitive : std::uint8_t {
  kTake,        // the kernel allocates a page for an object, and the attacker has a pointer to it
  kFree,        // the kernel frees it, and the pointer dangles; again, if it is in use anew
  kKeep,        // the attacker keeps a pointer to what a page is now
  kMapUser,     // a page of the kernel is mapped in a task's region, as drivers do for rings
  kWrite,       // a store of 8 bytes through the linear map
  kRead,        // a load
  kUserWrite,   // a store of the task by a mapping that it has
  kCopyToUser,  // the kernel's own copy_to_user(), with a pointer to the kernel
  kAliasWrite,  // a store through another kernel mapping of the page (vmap)
  kFlip,        // one bit of a word in memory, beside the MMU (DRAM)
  kDma,         // a device writes the word, beside the MMU
  kSetSaved,    // the value of the key register that an exception or a sleeping thread has saved
  kSetRoot,     // the saved TTBR0_EL1 of a task points to a page
};
std::string_view name_of(Primitive primitive);

enum class When : std::uint8_t {
  kAtRest,       // after a phase
  kWindow,       // a window is open for the page
  kStore,        // a helper is about to store to a page table
  kMarking,      // a page is allocated, and not yet marked
  kUnmarking,    // is unmarked, and not yet free
  kFlush,        // entries have changed, and no TLBI is issued yet
  kOutstanding,  // TLBIs are issued, and no DSB has waited for them
  kContext,      // the context of a protected class is entered
  kAsleep,       // a task sleeps in such a context, and another thread has the core
  kException,    // what an exception has saved is about to be restored
};
// Who strikes then.
enum class From : std::uint8_t {
  kCode,       // the kernel's code that has got there
  kInterrupt,  // an interrupt on that core
  kOtherCore,  // another core meanwhile
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
  From from = From::kCode;
  std::size_t phase = 0;   // after it, or during it
  std::uint64_t nth = 1;   // of the occasions during it
  std::uint64_t each = 0;  // not 0: each of the first so many in turn, in a run of its own
  std::optional<kernel::FlushSite> site;  // of kFlush and kOutstanding; none: any
  std::size_t context = 0;                // of kContext and kAsleep
  PageRef page;
  PageRef of;                // of kKeep: which page
  std::uint64_t offset = 0;  // in the page
  Forged value;
  bool untagged = false;               // the pointer never had a tag: it has the match-all one
  std::string by;                      // the taken page from whose pointer the place is reached
  unsigned bit = 0;                    // of kFlip
  std::uint32_t task = 0, region = 0;  // of kMapUser, kUserWrite, kSetRoot
  std::uint64_t place = 0;
  unsigned order = 0;  // of kTake
  bool movable = false;
  std::string at;    // where it stands: "file:line:column: /strikes/2"
  std::string text;  // for people: "write to page 'object' + 0x28"
};

struct Goal {
  // The task reaches the page by an address of its own; or a strike has changed the page.
  enum class Kind : std::uint8_t { kReach, kChange } kind = Kind::kReach;
  std::uint32_t task = 0, region = 0;
  PageRef page;
  std::string task_name, region_name;
  std::string at;
};

struct Scenario {
  std::string name, description, source;
  workload::Workload workload;
  std::vector<Strike> strikes;
  Goal goal;
  bool credentials = false;                   // a strike names some
  std::vector<kernel::Injection> injections;  // what this kernel forgets or does late
  // Protected classes and who has which key, where the protection has keys for them.
  std::shared_ptr<const kernel::ClassPlan> classes;
};

extern const char* const kAttackSchema;

// InputError with file, line and column.
Scenario read_scenario(const std::string& path);

}  // namespace kpksim::attack
