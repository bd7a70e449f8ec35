// Plain pages from the page allocator, zeroed there (the baseline).

#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

class BuddyTables final : public PageTableAllocator {
 public:
  using PageTableAllocator::PageTableAllocator;
  Pfn allocate_for_split(cpu::Core& core) override { return page(core); }
  void take_back(cpu::Core& core, Pfn table) override { context_.buddy.free(core, table, 0); }

 private:
  Pfn take(cpu::Core& core, TableKind) override {
    const Pfn pfn = page(core);
    zero(core, pfn);
    return pfn;
  }
  void give_back(cpu::Core& core, Pfn pfn) override { context_.buddy.free(core, pfn, 0); }
};

const Allocators::Entry buddy_entry{{
    .name = "buddy",
    .description = "plain pages, never marked: windows protect nothing",
    .rank = 0,
    .marks = false,
    .rejoins = true,
    .make = make_allocator_of<BuddyTables>,
}};

}  // namespace
}  // namespace kpksim::kernel
