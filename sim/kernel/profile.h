#pragma once
// A kernel profile: in what one Linux version differs from another, and how many instructions its
// paths execute. Read from JSON in which each figure carries its source. Immutable once built.

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/profile_reader.h"
#include "sim/kernel/path_lengths.h"

namespace kpksim::kernel {

enum class HugePages : std::uint8_t { kNever, kMadvise, kAlways };

struct KernelProfile {
  std::string name;
  std::string description;
  bool lazy_barriers = false;  // DSB and ISB of kernel mappings wait for the lazy section's end
  bool vmalloc_lazy = false;   // vmalloc's loops over entries are lazy MMU sections
  bool vmalloc_contiguous = false;     // huge vmalloc maps 64 KB runs with the contiguous bit
  bool kernel_range_tlbi = false;      // flush_tlb_kernel_range() as flush_tlb_range() (6.13)
  bool switch_reads_register = false;  // a context switch saves POR_EL1, fork copies it
  bool guard_pages = false;            // madvise() knows MADV_GUARD_INSTALL and _REMOVE
  HugePages huge_pages = HugePages::kAlways;     // /sys/kernel/mm/transparent_hugepage/enabled
  unsigned fault_around_pages = 16;              // a power of two
  std::uint64_t switch_milli_isb = 3650;         // ISB / 1000 of a context switch, on average
  std::uint64_t thread_switch_milli_isb = 2200;  // of one from or to a kernel thread
  std::uint64_t wake_milli_isb = 2700;           // and those of its wake-up
  std::uint64_t dequeued_milli_isb = 1400;       // more where the task had left the run queue
  unsigned switch_mm_isb = 2;                    // and those of a switch to another address space
  unsigned task_isb = 5;                         // ISB of a task's creation and end
  std::uint64_t timer_milli_isb = 10300;         // those of a timer interrupt
  unsigned background_ticks = 40;         // every so many a kernel thread runs that no call woke
  unsigned timer_instructions = 1000000;  // from one timer interrupt to the next
  unsigned process_pages = 24;  // unmovable pages that a process takes for task, mm, VMAs, files
  unsigned free_list_pages = 24576;  // that a core's own lists of free pages hold at most
  unsigned vmalloc_boot_pages = 0;   // of vmalloc's addresses, below the kernel threads' stacks
  unsigned kernel_threads = 0;       // that boot has started
  PathLengths path{};
  std::vector<ProfileEntry> entries;  // every number with its source
};

// Reads `path`. `bases`: the folder of the profiles that it may be based on, else its own.
// InputError names the file and the JSON pointer.
KernelProfile read_kernel_profile(const std::string& path, const std::string& bases = "");
// From a profile that has been opened, in which numbers may have been set.
KernelProfile read_kernel_profile(ProfileReader in);

}  // namespace kpksim::kernel
