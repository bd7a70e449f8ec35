// An allocator that gives no page back: a table's page stays marked for the next table. Its name is
// known to policies as soon as this file is linked.

#include <vector>

#include "sim/kernel/pgalloc/allocator.h"

namespace {

using namespace kpksim;
using namespace kpksim::kernel;

class Keep final : public PageTableAllocator {
 public:
  using PageTableAllocator::PageTableAllocator;
  void boot(cpu::Core& core) override { mark_boot_tables(core); }
  Pfn allocate_for_split(cpu::Core& core) override { return late_page(core); }

 private:
  Pfn take(cpu::Core& core, TableKind) override {
    if (kept_.empty()) return take_single(core, TableKind::kPool);
    const Pfn table = kept_.back();
    kept_.pop_back();
    ++reused_;
    zero_marked(core, table);
    return table;
  }
  void give_back(cpu::Core&, Pfn table) override { kept_.push_back(table); }
  std::uint64_t cached() const override { return kept_.size(); }
  std::vector<OwnStatistic> own() const override {
    return {{"reused", "pages", "allocations that a kept page served", reused_}};
  }

  std::vector<Pfn> kept_;
  std::uint64_t reused_ = 0;
};

const Allocators::Entry keep_entry{{
    .name = "keep",
    .description = "no page is given back: it stays marked for the next table",
    .pools = true,
    .make = make_allocator_of<Keep>,
}};

}  // namespace
