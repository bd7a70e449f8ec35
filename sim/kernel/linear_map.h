#pragma once
// The kernel's linear map: all memory at PAGE_OFFSET, mapped with pages, contiguous runs or blocks,
// and set_memory_pkey(), which changes the key of a range and splits blocks where it must: by
// arm64's rules (linear_map.cc), or by x86's (linear_map_cpa.cc).

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/statistic.h"
#include "sim/kernel/buddy.h"
#include "sim/kernel/pgtable.h"
#include "sim/kernel/policy.h"
#include "sim/kernel/tlbflush.h"
#include "sim/mmu/physical_memory.h"

namespace kpksim::kernel {

struct LinearMapStatistics {
  std::uint64_t set_memory_pkey = 0, pages = 0;
  std::uint64_t set_memory = 0;
  std::uint64_t split_pud = 0, split_contpmd = 0, split_pmd = 0, split_contpte = 0;
  std::uint64_t joined = 0, joined_runs = 0;
};
inline constexpr std::array<Statistic<LinearMapStatistics>, 9> kLinearMapStatistics = {{
    {"set_memory_pkey", "calls", "set_memory_pkey() calls", &LinearMapStatistics::set_memory_pkey},
    {"keyed_pages", "pages", "pages whose key these calls set", &LinearMapStatistics::pages},
    {"set_memory", "calls", "set_memory_ro(), _rw() and _valid() calls",
     &LinearMapStatistics::set_memory},
    {"split_pud", "splits", "splits of 1 GB blocks", &LinearMapStatistics::split_pud},
    {"split_contpmd", "splits", "splits of contiguous 32 MB runs",
     &LinearMapStatistics::split_contpmd},
    {"split_pmd", "splits", "splits of 2 MB blocks", &LinearMapStatistics::split_pmd},
    {"split_contpte", "splits", "splits of contiguous 64 KB runs",
     &LinearMapStatistics::split_contpte},
    {"joined", "blocks", "blocks joined, of leaves that are alike again",
     &LinearMapStatistics::joined},
    {"joined_runs", "runs", "contiguous runs joined", &LinearMapStatistics::joined_runs},
}};

// How memblock gives boot the linear map's own tables: single pages, or ranges of 2 MB.
enum class EarlyTables : std::uint8_t { kPages, kRanges };

// Where the tables come from that splits need: the page-table allocator.
class SplitTables {
 public:
  virtual ~SplitTables() = default;
  // Before a split; each table for it; and when the range that it was for has been changed.
  virtual void prepare_split(cpu::Core&) {}
  virtual Pfn allocate_for_split(cpu::Core& core) = 0;
  virtual void finish_split(cpu::Core&) {}
  // A table of allocate_for_split() that nothing uses any more, after its flush.
  virtual void take_back(cpu::Core& core, Pfn table) = 0;
};

// Who wants to know of leaves that have changed, and of tables that splits have added.
class LinearMapObserver {
 public:
  virtual ~LinearMapObserver() = default;
  virtual void changed(Pfn first, std::uint64_t count) = 0;
  virtual void split(Pfn table) = 0;
  virtual void joined(Pfn table) = 0;  // and it is no table any more
};

class LinearMap {
 public:
  // How ranges are changed, and whether leaves come in contiguous runs: arm64's way or x86's.
  enum class Rules : std::uint8_t { kArm64, kX86 };

  // `instructions`: of one set_memory_pkey() call.
  LinearMap(Rules rules, const LinearMapSettings& settings, EarlyTables early, PageTables& tables,
            TlbFlush& flush, std::uint64_t instructions)
      : rules_(rules),
        granularity_(settings.granularity),
        collapse_(settings.collapse),
        early_(early),
        tables_(tables),
        flush_(flush),
        instructions_(instructions) {}

  // Pages at the start of memory that build() finds taken for it: its tables (in ranges, after a
  // range that has the root), or of a map of blocks the root.
  static std::uint64_t boot_pages(Granularity granularity, EarlyTables early, std::uint64_t pages);
  // Before the MMU is on: the tables of all of `buddy`'s memory.
  void build(mmu::PhysicalMemory& memory, Buddy& buddy);

  // linear_map_split_to_ptes(), before the allocator of page tables is ready: all blocks and runs
  // become pages, with tables of the buddy allocator that are boot's. Then one flush of all.
  void repaint(cpu::Core& core, Buddy& buddy);

  void set_table_source(SplitTables& source) { table_source_ = &source; }
  void set_locks(Locks& locks) { locks_ = &locks; }
  void set_observer(LinearMapObserver& observer) { observer_ = &observer; }

  // set_memory_pkey(): keys `count` pages from `first` on. Splits, rewrites the leaves in one lazy
  // MMU section, then flush_tlb_kernel_range; x86 flushes after each split too, and not at all
  // where no leaf has changed.
  void set_memory_pkey(cpu::Core& core, Pfn first, std::uint64_t count, PkeyIndex key);

  // set_memory_ro(), set_memory_rw() and set_memory_valid() (change_memory_common()): in the leaves
  // of the range bits are cleared, then set. The flush is left out where an invalid leaf becomes
  // valid, for no TLB holds it.
  struct Change {
    std::uint64_t clear = 0, set = 0;
  };
  void set_memory(cpu::Core& core, Pfn first, std::uint64_t count, const Change& change);
  static constexpr mmu::Descriptor applied(const Change& change, mmu::Descriptor leaf) {
    return mmu::Descriptor{(leaf.raw & ~change.clear) | change.set};
  }

  // Who may write these pages has changed in another place than the map: at stage 2.
  void rights_changed(Pfn first, std::uint64_t count) {
    if (observer_ != nullptr) observer_->changed(first, count);
  }

  // The tables that boot made, without the root: repaint()'s, then build()'s as memblock gave them,
  // in that order: single pages, or ranges; and how many pages at the end of the last range are no
  // tables.
  std::vector<std::pair<Pfn, std::uint64_t>> boot_tables() const;
  std::uint64_t boot_rest() const;

  // The leaf that maps a page now, read from the tables; invalid where none does. And its key.
  mmu::Descriptor leaf(const mmu::PhysicalMemory& memory, Pfn pfn) const;
  PkeyIndex key_of(const mmu::PhysicalMemory& memory, Pfn pfn) const {
    return leaf(memory, pfn).po_index(poe::kMostIndexBits);
  }

  // All of build()'s tables but the root.
  std::pair<Pfn, std::uint64_t> boot_range() const { return {boot_range_, boot_pages_}; }

  Pfn root() const { return root_; }
  Granularity granularity() const { return granularity_; }
  const LinearMapStatistics& statistics() const { return statistics_; }

 private:
  // Of the most keys: the map leaves those bits 0 that fewer keys do not need.
  static constexpr std::uint64_t kIndexBits =
      poe::overlay_index_bits((1u << poe::kMostIndexBits) - 1);
  // What the leaves of a split have from their block: its key, and that it is read-only.
  static constexpr std::uint64_t kSplitAttributes =
      kIndexBits | mmu::field::kAp2.mask() | mmu::field::kDbm.mask();

  struct Entry {
    PhysAddr address;
    mmu::Descriptor descriptor;
    unsigned level;
  };
  void build_blocks(mmu::PhysicalMemory& memory, Buddy& buddy);
  Entry leaf_of(cpu::Core& core, VirtAddr va) const;
  bool is_boundary(cpu::Core& core, VirtAddr va) const;
  void split_at(cpu::Core& core, VirtAddr boundary);
  // What a change of a range has done.
  struct Done {
    bool split = false;    // its tables are to be finished
    bool changed = false;  // there is something to flush
  };
  void change_range(cpu::Core& core, FlushSite site, Pfn first, std::uint64_t count,
                    const Change& change);
  static bool becomes_valid(const Change& change) {
    return change.clear == 0 && change.set == mmu::field::kValid.mask();
  }
  Done change_leaves(cpu::Core& core, VirtAddr start, VirtAddr end, const Change& change);
  void write_leaves(cpu::Core& core, VirtAddr start, VirtAddr end, const Change& change);
  bool needs_split(cpu::Core& core, VirtAddr start, VirtAddr end) const;
  void split_ends(cpu::Core& core, VirtAddr start, VirtAddr end);
  // `contiguous`: its leaves come in runs.
  void split_block(cpu::Core& core, const Entry& block, Pfn table, bool contiguous);

  // Joining (linear_map_join.cc).
  void change_and_join(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end,
                       const Change& change);
  bool lock_for_join(cpu::Core& core, VirtAddr start, VirtAddr end, std::optional<Holding>& mutex);
  void join(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end);
  bool join_table(cpu::Core& core, FlushSite site, VirtAddr va, unsigned level);
  bool join_run(cpu::Core& core, VirtAddr va, unsigned level);
  std::optional<Entry> entry_at(cpu::Core& core, VirtAddr va, unsigned level) const;
  bool is_uniform(cpu::Core& core, PhysAddr first, unsigned entries, unsigned level) const;

  // x86: __change_page_attr_set_clr().
  Done cpa(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end, const Change& change);
  bool cpa_splits(const Entry& leaf, VirtAddr va, VirtAddr end, const Change& change) const;
  void cpa_split(cpu::Core& core, FlushSite site, const Entry& block);
  void clear_contiguous(cpu::Core& core, const Entry& entry);

  Rules rules_;
  Granularity granularity_;
  const bool collapse_;
  EarlyTables early_;
  PageTables& tables_;
  TlbFlush& flush_;
  const std::uint64_t instructions_;
  Pfn root_;
  VirtAddr start_, end_;
  Pfn boot_range_;  // boot's tables, without the root: neighbours
  std::uint64_t boot_pages_ = 0;
  std::vector<Pfn> repaint_tables_;
  std::set<Pfn> split_tables_;  // that joining may give back; none unless it may
  // pgtable_split_lock, which a split of the map takes; of a map that joins, a whole change.
  SleepingLock split_mutex_{LockKind::kSplit};
  SpinLock cpa_lock_;  // x86's, around the change of one leaf, or its split
  Locks* locks_ = nullptr;
  SplitTables* table_source_ = nullptr;
  LinearMapObserver* observer_ = nullptr;
  LinearMapStatistics statistics_;
};

// set_memory_ro() and set_memory_rw(): PTE_RDONLY and PTE_WRITE. With the latter (DBM) hardware
// would make the page writable itself.
inline constexpr LinearMap::Change kSetMemoryRo{mmu::field::kDbm.mask(), mmu::field::kAp2.mask()};
inline constexpr LinearMap::Change kSetMemoryRw{mmu::field::kAp2.mask(), mmu::field::kDbm.mask()};

}  // namespace kpksim::kernel
