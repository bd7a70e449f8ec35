// The physical memory allocator of v6 and v7 for the tables that boot makes: memblock's pages,
// noted as ranges and marked with one call each as soon as pages can be marked. v6 takes ranges of
// 2 MB: what has been used of the last one is marked by itself and the rest given back. v7 takes
// single pages and merges neighbouring ones. After boot both go page by page. A table that came
// before it could be marked, in boot or in a split of the linear map, is marked late.

#include <algorithm>

#include "sim/kernel/cause.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

class Ppa final : public PageTableAllocator {
 public:
  using PageTableAllocator::PageTableAllocator;

  // kpkeys_hardened_pgtables_init_late(), ppa_finalize()
  void boot(cpu::Core& core) override {
    const Because boot(core, Cause::kBoot);
    can_mark_ = true;
    ranges_ = mark_boot_ranges(core);
    for (const Early& table : early_) context_.protection.mark(core, table.pfn, 1, table.kind);
    early_marked_ = early_.size();
    early_.clear();
  }
  Pfn allocate_for_split(cpu::Core& core) override { return late_page(core); }

 private:
  struct Early {
    Pfn pfn;
    TableKind kind;
  };

  Pfn take(cpu::Core& core, TableKind kind) override {
    if (can_mark_) return take_single(core, kind);
    early_.push_back({page(core), kind});
    zero(core, early_.back().pfn);
    return early_.back().pfn;
  }
  void give_back(cpu::Core& core, Pfn pfn) override {
    if (can_mark_) return give_back_single(core, pfn);
    std::erase_if(early_, [&](const Early& table) { return table.pfn == pfn; });
    context_.buddy.free(core, pfn, 0);
  }
  std::vector<OwnStatistic> own() const override {
    return {{"ranges", "ranges", "ranges of boot's tables, marked with one call each", ranges_},
            {"early", "pages", "other tables of boot that were marked late", early_marked_},
            late_statistic()};
  }

  bool can_mark_ = false;
  std::vector<Early> early_;
  std::uint64_t ranges_ = 0, early_marked_ = 0;
};

const Allocators::Entry ppa_entry{{
    .name = "ppa",
    .description = "boot's tables marked by ranges, all others page by page",
    .rank = 2,
    .parameters = {choice_parameter(
        "form", "boot's pages: ranges of 2 MB (v6), or single ones, neighbours merged (v7)", "v6",
        {"v6", "v7"})},
    .early =
        [](Granularity, const Parameters& p) {
          return p.choice("form") == "v6" ? EarlyTables::kRanges : EarlyTables::kPages;
        },
    .make = make_allocator_of<Ppa>,
}};

}  // namespace
}  // namespace kpksim::kernel
