#include "sim/kernel/gather.h"

#include <bit>

namespace kpksim::kernel {
namespace {

// MAX_TABLE_BATCH
constexpr std::size_t kTables = (kPageSize - 24) / 8;

}  // namespace

bool Gather::remove_folio(Pfn head, unsigned count) {
  folios_.push_back({head, count});
  slots_ += count == 1 || count == kEntriesPerTable ? 1 : 2;
  return slots_ >= kSlots;
}

void Gather::remove_table(cpu::Core& core, Pfn table, std::uint64_t va, unsigned level) {
  changed(va, kPageSize, level);
  freed_tables_ = true;
  tables_.push_back(table);
  if (tables_.size() == kTables) {  // tlb_table_flush()
    flush_tlb(core);
    system_.rcu.call(core, std::move(tables_));
    tables_.clear();
  }
}

void Gather::flush_tlb(cpu::Core& core) {
  if (levels_ == 0) return;
  if (full_mm_) {
    // Leaf entries may stay: the ASID is not given out again without a flush of everything.
    if (freed_tables_ || unshared_tables_) system_.flush.mm(core, site_, space_);
  } else {
    const auto deepest = static_cast<unsigned>(std::bit_width(levels_) - 1);
    const unsigned level = !freed_tables_ && std::has_single_bit(levels_) ? deepest : 0;
    system_.flush.range(core, site_, space_, VirtAddr(start_), VirtAddr(end_),
                        1ull << mmu::level_shift(deepest), !freed_tables_ && !unshared_tables_,
                        level);
  }
  freed_tables_ = unshared_tables_ = false;
  levels_ = 0;
  start_ = ~0ull;
  end_ = 0;
}

void Gather::flush(cpu::Core& core) {
  flush_tlb(core);
  if (!tables_.empty()) {
    core.execute(system_.path().free_tables);
    system_.rcu.call(core, std::move(tables_));
  }
  tables_.clear();
  for (const FolioPages& f : folios_) {
    const PathLengths& path = system_.path();
    system_.atomic_page(core, f.head, 1);  // folio_put_testzero()
    system_.atomics(core, 1);              // css_put() of the memory cgroup
    for (unsigned i = 1; i < f.count; ++i) system_.touch_page(core, f.head + i);
    switch (system_.put_folio(core, f.head, f.count)) {
      case System::Put::kKept:
        break;
      case System::Put::kPage:
        core.execute_lists(path.free_folio);
        break;
      case System::Put::kSmall:
        core.execute_loop(path.free_small);
        break;
      case System::Put::kLarge:
        core.execute_loop(path.free_large);
        break;
      case System::Put::kHuge:
        core.execute_loop(path.free_huge);
        break;
    }
  }
  folios_.clear();
  for (const auto& [size, head] : huge_) system_.put_hugetlb(*size, head);
  huge_.clear();
  slots_ = 0;
}

}  // namespace kpksim::kernel
