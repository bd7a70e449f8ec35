#pragma once
// The stream of operations that a workload is: what JSON files and recorded traces are turned into,
// and what workload::Driver executes on the kernel model. Addresses and lengths are bytes.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/kernel/call.h"
#include "sim/kernel/kernel_data_settings.h"
#include "sim/kernel/mapped_program.h"
#include "sim/kernel/profile.h"
#include "sim/kernel/program.h"

namespace kpksim::workload {

using TaskId = std::uint32_t;    // a process or thread of the workload (a trace's pid)
using RegionId = std::uint32_t;  // a named mapping; 0: `address` is absolute

enum class OpKind : std::uint8_t {
  kSpawn,     // a fresh process with an empty address space (as init's child after exec)
  kMmap,      // maps `length` bytes; `address` is the result the program saw, 0: kernel chooses
  kMunmap,    // [address, address + length)
  kMprotect,  // to `prot`
  kMadvise,   // `advice`
  kMlock,     // [address, +length): its pages come and stay; `on_fault`: stay once they came
  kMunlock,   // and may go again
  kMlockAll,  // the same of all mappings (`current`) and of those that come (`future`)
  kMunlockAll,
  kMremap,       // [address, +length) to new_length, at new_address (0: kernel chooses or stays);
                 // length 0: a further mapping of the same shared pages
  kBrk,          // the heap, remembered as `region`, grows by `length`, or shrinks
  kFork,         // of `task`; the child is `child`
  kVfork,        // fork sharing the address space until exec or exit of the child
  kCloneThread,  // a thread `child` of `task`'s process
  kExec,         // a new program in `task`
  kExit,         // of `task`
  kWait,         // `task` reaps `child`
  kTouch,        // user accesses from `address` on, see Touch
  kSwitch,       // context switch to `task`
  kMigrate,      // `task` goes to core `count`
  kStrayStore,   // of the kernel, in a call of `task`: to the entry for `address` of the table of
                 // level `count` that maps it
  kSyscall,      // a call that changes no mapping; with a length its data lies at
                 // [address, +length), which the kernel reads, or writes if `write`
  kVmalloc,      // `count` pages, remembered as `region`; `huge` allows larger mappings
  kVfree,        // of `region`
  kVmMapRam,     // `count` pages, remembered as `region`
  kVmUnmapRam,   // of `region`
  kVmUnmapAliases,  // what vmalloc still waits with is flushed and given back
  kIdle,            // nothing runs for so long that RCU has nothing left to do
  kPressure,        // memory pressure: the shrinkers free what they can
  kPunchHole,       // fallocate() of the file mapped at [address, +length): its pages go
  kTruncate,        // ftruncate() of `file_id` to `length`: what lies behind leaves all mappings
  kClose,           // the last descriptor of `file_id`, a file in memory: it goes with its mappings
  kNrHugepages,     // sysfs: `count` reserved huge pages of `length` bytes are kept
  kHugepages,       // sysfs: folios of `length` bytes, as `setting` says
  kFragment,        // `count` percent of the free memory is taken in single, scattered pages
  kUnfragment,      // and given back
  kCount
};

enum Prot : std::uint8_t { kProtNone = 0, kProtRead = 1, kProtWrite = 2, kProtExec = 4 };

enum class Advice : std::uint8_t {
  kOther,
  kDontNeed,
  kDontNeedLocked,
  kHugepage,
  kNoHugepage,
  kFree,
  kDontFork,
  kDoFork,
  kCold,
  kCollapse,
  kPopulateRead,
  kPopulateWrite,
  kPageout,
  kWipeOnFork,
  kKeepOnFork,
  kGuardInstall,
  kGuardRemove
};

enum class Order : std::uint8_t { kAscending, kDescending, kRandom };

struct Operation {
  OpKind kind{};
  std::uint8_t prot = 0;
  Advice advice = Advice::kOther;
  bool shared = false;      // MAP_SHARED
  bool fixed = false;       // MAP_FIXED
  bool grows_down = false;  // MAP_GROWSDOWN or MAP_STACK
  bool file = false;        // file mapping (page cache), else anonymous
  bool shmem = false;       // of a file mapping: a file in memory (memfd, tmpfs)
  bool unnamed = false;   // of a file mapping: its file is closed, and goes with its last mapping;
                          // of kClose: so it is when its process ends, without a call
  bool populate = false;  // of kMmap: MAP_POPULATE
  bool locked = false;    // of kMmap: MAP_LOCKED
  bool on_fault = false;  // of kMlock and kMlockAll: MLOCK_ONFAULT, MCL_ONFAULT
  bool current = false;   // of kMlockAll: MCL_CURRENT
  bool future = false;    // and MCL_FUTURE
  bool dont_unmap = false;   // of kMremap: MREMAP_DONTUNMAP
  bool shrink = false;       // of kBrk
  bool write = false;        // of kTouch; of kSyscall: the kernel writes its data; of kVmalloc and
                             // kVmMapRam: it writes a byte
  bool execute = false;      // of kTouch: an instruction fetch
  bool by_kernel = false;    // of kTouch: on the task's behalf
  bool huge = false;         // of kVmalloc
  bool parent_runs = false;  // of kExec: a parent in vfork() runs when exec wakes it, and waits
  bool may_fail = false;     // a trace's call whose range the model may not know in full
  bool refused = false;      // of kTouch and kStrayStore: each access must be refused
  Order order = Order::kAscending;
  TaskId task = 0;
  TaskId child = 0;
  RegionId region = 0;
  RegionId new_region = 0;
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  std::uint64_t new_address = 0;
  std::uint64_t new_length = 0;
  std::uint64_t stride = 4096;  // of kTouch
  std::uint64_t count = 0;      // pages, percent, further instructions of kSyscall
  std::uint64_t up_to = 0;      // pages, of kVmalloc: not `count` but drawn from count to here
  std::uint64_t computes = 0;   // instructions of the program before it, or before each access
  kernel::Call call;            // of kSyscall: which
  kernel::HugePages setting = kernel::HugePages::kNever;
  std::uint64_t seed = 0;
  std::uint32_t image = 0;    // of kExec: which of the images, from 1 on; 0: the program
  std::uint32_t file_id = 0;  // which file's page cache
  std::uint64_t file_offset = 0;
  std::uint64_t file_bytes = 0;  // of kMmap: the file's length; 0: not known
  std::uint64_t hugetlb = 0;     // of kMmap: MAP_HUGETLB, bytes of a page
  // Where the operation stands in its source, for messages: a JSON pointer or a line number.
  std::uint32_t line = 0;
};

// An operation, or a body executed `repeat` times.
struct Step {
  Operation op;
  std::uint64_t repeat = 1;
  std::vector<Step> body;  // not empty: `op` is unused
};

struct Phase {
  std::string name;
  std::vector<Step> steps;
  std::vector<std::string> also = {};  // what other measurements call it
};

// The parts of the program image that operations may name, as regions that every process has.
enum class Segment : std::uint8_t { kText, kRodata, kData, kBss, kHeap, kStack, kGrowth, kVdso };

struct Workload {
  std::string name;
  std::string description;
  std::string source;  // file it was read from
  std::vector<Phase> phases;
  std::optional<kernel::KernelDataSettings> kernel_data;  // not given: no such accesses
  bool interleave = false;                                // it asks for cores that run at once
  kernel::ProgramImage program;                           // what spawn and exec load
  std::vector<kernel::MappedProgram> images;              // or what single execs load instead
  std::vector<std::pair<RegionId, Segment>> segments;     // regions that are parts of it
  // What its file calls them.
  std::map<std::string, TaskId> task_names = {};
  std::map<std::string, RegionId> region_names = {};
  std::vector<std::string> assumptions;  // what the source cannot say and a rule filled in
  std::vector<std::pair<std::string, std::uint64_t>> not_understood;  // kind of line, how many
  std::vector<std::string> notes;  // what the source lacks, and how it would be there
  // Programs that got an image of a default size, and how often each was executed.
  std::map<std::string, std::uint64_t> default_images;
};

}  // namespace kpksim::workload
