#pragma once
// What the kernel is at, for onlookers (kernel::Observer): its calls and faults, and the parts of
// its work that have a name of their own. Spans of one activity lie within each other. Without an
// observer a span is a test of a pointer.

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/cpu/core.h"
#include "sim/kernel/object/trigger.h"
#include "sim/kernel/taps.h"

namespace kpksim::kernel {

// The triggers come first, in their order: work_of().
enum class Work : std::uint8_t {
  kSpawn = static_cast<std::uint8_t>(Trigger::kCount),  // the first task of a program begins
  kForkMm,                                              // dup_mmap()
  kExitMm,                                              // exit_mmap()
  kAllocateTable,
  kFreeTable,
  kSetMemoryPkey,  // set_memory_pkey()
  kSetMemory,      // set_memory_ro() and its like
  kSplitBlock,     // a block of the linear map becomes a table
  kSplitRun,       // a contiguous run of its leaves becomes single ones
  kRefill,         // a pool of pages that are marked takes a run of them
  kShrink,         // memory pressure
  kVmalloc,
  kVfree,
  kVmPurge,  // __purge_vmap_area_lazy()
  kRcu,      // tables whose grace period is over are freed
  kTimer,    // the tick
  kCount
};
inline constexpr std::size_t kWorks = static_cast<std::size_t>(Work::kCount);

constexpr Work work_of(Trigger trigger) { return static_cast<Work>(trigger); }

inline constexpr std::array<std::string_view, kWorks - kTriggers.size()> kOtherWorkNames = {
    "spawn",      "dup_mmap",      "exit_mmap", "allocate_table", "free_table", "set_memory_pkey",
    "set_memory", "split_block",   "split_run", "refill",         "shrink",     "vmalloc",
    "vfree",      "vmalloc_purge", "rcu",       "timer"};
constexpr std::string_view name_of(Work work) {
  const auto i = static_cast<std::size_t>(work);
  return i < kTriggers.size() ? kTriggers[i] : kOtherWorkNames[i - kTriggers.size()];
}
// A call of a task, from its entry to its exit. Faults, switches and what is below are none.
constexpr bool is_call(Work work) {
  return work > work_of(Trigger::kEntry) && work < work_of(Trigger::kPageFault);
}

class Span {
 public:
  // Null: nobody can watch here.
  Span(Taps* taps, cpu::Core& core, Work work) : core_(core), work_(work) {
    if (taps != nullptr && taps->observer != nullptr) [[unlikely]]
      begin(*taps);
  }
  Span(Taps& taps, cpu::Core& core, Work work) : Span(&taps, core, work) {}
  ~Span() {
    if (taps_ != nullptr) [[unlikely]]
      end();
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

  cpu::Core& core() const { return core_; }
  Work work() const { return work_; }
  const Span* outer() const { return outer_; }
  // The core's time at its beginning, in millicycles; and its number among all spans.
  std::uint64_t begun() const { return begun_; }
  std::uint64_t number() const { return number_; }

 private:
  void begin(Taps& taps);
  void end();

  cpu::Core& core_;
  const Work work_;
  Taps* taps_ = nullptr;  // null: nobody watches
  const Span* outer_ = nullptr;
  std::uint64_t begun_ = 0, number_ = 0;
};

}  // namespace kpksim::kernel
