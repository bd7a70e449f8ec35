// Per-page keying ("noblock" of v6, the only one of RFC v5): set_memory_pkey(1) at allocation and
// at free. On a block map the first key set in a block or contiguous run splits it.

#include "sim/kernel/cause.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

class PerPage final : public PageTableAllocator {
 public:
  using PageTableAllocator::PageTableAllocator;
  void boot(cpu::Core& core) override { key_boot_tables(core); }
  Pfn allocate_for_split(cpu::Core&) override { return page(); }  // such tables stay unkeyed

 private:
  Pfn take(cpu::Core& core) override {
    const Pfn pfn = page();
    zero(core, pfn);
    const Because keying(core, Cause::kKeying);
    context_.linear_map.set_memory_pkey(core, pfn, 1, kPkeyPgtables);
    return pfn;
  }
  void give_back(cpu::Core& core, Pfn pfn) override {
    const Because keying(core, Cause::kKeying);
    context_.linear_map.set_memory_pkey(core, pfn, 1, kPkeyDefault);
    context_.buddy.free(pfn, 0);
  }
};

}  // namespace

std::unique_ptr<PageTableAllocator> make_per_page(AllocatorContext context) {
  return std::make_unique<PerPage>(context);
}

}  // namespace kpksim::kernel
