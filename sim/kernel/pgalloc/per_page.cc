// Page by page ("noblock" of v6, the only one of RFC v5): marked at allocation, unmarked at free.
// On a block map the first mark in a block or contiguous run splits it.

#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

class PerPage final : public PageTableAllocator {
 public:
  using PageTableAllocator::PageTableAllocator;
  void boot(cpu::Core& core) override { mark_boot_tables(core); }
  Pfn allocate_for_split(cpu::Core& core) override {
    return page(core);
  }  // such tables stay unmarked
  void take_back(cpu::Core& core, Pfn table) override { context_.buddy.free(core, table, 0); }

 private:
  Pfn take(cpu::Core& core, TableKind kind) override { return take_single(core, kind); }
  void give_back(cpu::Core& core, Pfn pfn) override { give_back_single(core, pfn); }
};

const Allocators::Entry per_page_entry{{
    .name = "per-page",
    .description = "each page marked at allocation and unmarked at free",
    .rejoins = true,
    .make = make_allocator_of<PerPage>,
}};

}  // namespace
}  // namespace kpksim::kernel
