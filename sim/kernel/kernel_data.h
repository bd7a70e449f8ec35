#pragma once
// The kernel's own accesses to ordinary data, through the MMU at addresses of the linear map: what
// a linear map of small pages costs. Objects lie in slabs (mm/slub.c), whose pages the buddy
// allocator has given and placed. read() and write() copy from and to pages of the page cache, line
// by line (copy_to_iter(), copy_page_from_iter_atomic()); each page is placed by the buddy
// allocator when it is first copied. The bytes are the call's, and so are file and offset where it
// has them, as calls of a recording have; else a page of the cache is drawn.
//
// Which call touches which kinds of object follows what it must look at (the file of a descriptor,
// the dentries of a path). How many objects are in use, and how often a call touches one, is not
// known of any machine here: both are settings. assumptions() says so in words.

#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/statistic.h"
#include "sim/kernel/call.h"
#include "sim/kernel/kernel_data_settings.h"
#include "sim/kernel/system.h"

namespace kpksim::kernel {

// A miss of the L1 data TLB hits the L2, or walks; a walk ends in a leaf of one of these sizes.
struct KernelDataStatistics {
  std::uint64_t objects = 0, cache_lines = 0, l2_tlb_hits = 0, walks = 0, cache_walks = 0;
  std::uint64_t walks_4k = 0, walks_64k = 0, walks_2m = 0, walks_32m = 0, walks_1g = 0;
};
inline constexpr std::array<Statistic<KernelDataStatistics>, 10> kKernelDataStatistics = {{
    {"object_accesses", "accesses", "accesses to objects in slabs", &KernelDataStatistics::objects},
    {"cache_lines", "accesses", "accesses to lines of the page cache, by copies",
     &KernelDataStatistics::cache_lines},
    {"l2_tlb_hits", "hits", "misses of the L1 data TLB that hit the L2 TLB",
     &KernelDataStatistics::l2_tlb_hits},
    {"walks", "walks", "table walks for kernel data", &KernelDataStatistics::walks},
    {"cache_walks", "walks", "of these, for pages of the page cache",
     &KernelDataStatistics::cache_walks},
    {"walks_4k", "walks", "walks that ended in a page of 4 KB", &KernelDataStatistics::walks_4k},
    {"walks_64k", "walks", "walks that ended in a contiguous run of 64 KB",
     &KernelDataStatistics::walks_64k},
    {"walks_2m", "walks", "walks that ended in a block of 2 MB", &KernelDataStatistics::walks_2m},
    {"walks_32m", "walks", "walks that ended in a contiguous run of 32 MB",
     &KernelDataStatistics::walks_32m},
    {"walks_1g", "walks", "walks that ended in a block of 1 GB", &KernelDataStatistics::walks_1g},
}};

class KernelData {
 public:
  // Takes the slabs: InputError if they would need more than half of the free memory.
  KernelData(System& system, const KernelDataSettings& settings);

  // The call touches its objects, and copies its bytes of the page cache.
  void call(cpu::Core& core, const Call& call);

  const KernelDataSettings& settings() const { return settings_; }
  const KernelDataStatistics& statistics() const { return statistics_; }
  // What is assumed, in sentences.
  static std::vector<std::string> assumptions(const KernelDataSettings& settings);

  // Kinds of objects; each has an equal part of the working set.
  enum class Kind : std::uint8_t { kTask, kDentry, kInode, kFile, kBuffer, kCount };

 private:
  using Slabs = std::vector<Pfn>;  // their first pages

  void touch_object(cpu::Core& core, Kind kind);
  void copy(cpu::Core& core, const Call& call);
  Pfn cache_page(const cpu::Core& core, std::uint32_t file, std::uint64_t index);
  // Returns whether it has walked.
  bool access(cpu::Core& core, PhysAddr pa, poe::AccessKind kind);

  System& system_;
  const KernelDataSettings settings_;
  std::mt19937_64 random_;
  std::array<Slabs, static_cast<std::size_t>(Kind::kCount)> slabs_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, Pfn> page_cache_;  // by file and page
  KernelDataStatistics statistics_;
};

}  // namespace kpksim::kernel
