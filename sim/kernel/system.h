#pragma once
// What all parts of the kernel model share: the machine, memory, the page-table helpers, the
// linear map and the allocators. Built once from a configuration; torn down with it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/cpu/core.h"
#include "sim/kernel/buddy.h"
#include "sim/kernel/linear_map.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/kernel/pgtable.h"
#include "sim/kernel/protect/protection.h"
#include "sim/kernel/tlbflush.h"

namespace kpksim::kernel {

struct Config {
  std::string protection = "none";
  bool batching = false;
  std::string allocator = "buddy";
  Granularity linear_map = Granularity::kPte;
  std::uint64_t memory_bytes = 4ull << 30;
  unsigned cores = 1;
  // Fault injection: the TLBIs of this site are not executed (their barriers are).
  FlushSite left_out_tlbi = FlushSite::kNone;
};

// InputError with the reason if the combination makes no sense.
void check(const Config& config);
Granularity parse_granularity(const std::string& name);
FlushSite parse_flush_site(const std::string& name);
// The linear map's granularities, in the order of Granularity.
const std::vector<PolicyInfo>& granularities();
std::string_view granularity_name(Granularity granularity);

// What the kernel knows about a page of memory that users map (struct page).
struct Page {
  std::uint32_t mapcount = 0;
  bool file = false;       // in the page cache: not freed when unmapped
  std::uint8_t order = 0;  // of the folio, on its head page
  std::uint32_t head = 0;  // offset to the folio's head, in pages
};

class System {
 public:
  System(const cpu::CoreProfile& profile, const Config& config);

  const Config config;
  cpu::Machine machine;
  std::unique_ptr<Protection> protection;
  Buddy buddy;
  PageTables tables;
  TlbFlush flush;
  LinearMap linear_map;
  std::unique_ptr<PageTableAllocator> allocator;
  std::vector<Page> pages;
  Pfn zero_page;

  Page& page(Pfn pfn) { return pages[pfn - buddy.first()]; }
  // A user page of 2^order frames, or InputError when memory is exhausted.
  Pfn allocate_pages(unsigned order);

  // The address of the entry for `va` at `level` of the tree below `root`; a missing table on the
  // way is allocated if `allocate`, else the result is 0.
  PhysAddr find_entry(cpu::Core& core, Pfn root, VirtAddr va, unsigned level, bool allocate);

  // Tables whose free waits for RCU; a quiescent state (the end of a system call) frees them.
  void free_table_rcu(Pfn table) { rcu_.push_back(table); }
  void rcu_quiesce(cpu::Core& core);

 private:
  std::vector<Pfn> rcu_;
};

}  // namespace kpksim::kernel
