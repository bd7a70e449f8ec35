// The buddy allocator keeps page tables apart in blocks of their own: a migrate type, implemented
// there (Mobility::kPageTable). A block of 2 MB is marked when it is claimed and goes back when all
// of it is free. Where no whole block is free, an allocation fails, or as an option goes page by
// page.

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kBlockPages = 1ull << (kPmdShift - kPageShift);

class PageBlock final : public PageTableAllocator {
 public:
  PageBlock(const AllocatorContext& context, const Parameters& p)
      : PageTableAllocator(context), per_page_(p.choice("fallback") == "per-page") {}

  void boot(cpu::Core& core) override {
    const Because boot(core, Cause::kBoot);
    claim(core);
    mark_boot_tables(core);
  }

  // A block that is being claimed serves the splits of its own marking, and is marked with them.
  Pfn allocate_for_split(cpu::Core& core) override {
    const auto pfn = pop();
    return pfn ? *pfn : late_page(core);
  }

 private:
  std::optional<Pfn> pop() {
    const auto pfn = context_.buddy.allocate(0, Mobility::kPageTable);
    if (pfn) --free_;
    return pfn;
  }

  bool claim(cpu::Core& core) {
    const auto block = context_.buddy.claim_block();
    if (!block) return false;
    ++claimed_;
    free_ += kBlockPages;
    context_.protection.mark(core, *block, kBlockPages, TableKind::kPool);
    return true;
  }

  Pfn take(cpu::Core& core, TableKind kind) override {
    auto pfn = pop();
    if (!pfn) {
      const Because keying(core, Cause::kKeying);
      if (claim(core)) pfn = pop();
    }
    if (pfn) {
      zero_marked(core, *pfn);
      return *pfn;
    }
    if (!per_page_) {
      throw InputError(
          "out of memory: no block of 2 MB is free for page tables (give the machine more "
          "--memory, or use pageblock:fallback=per-page)");
    }
    ++single_;
    return take_single(core, kind);
  }

  void give_back(cpu::Core& core, Pfn pfn) override {
    if (!context_.buddy.is_claimed(pfn)) return give_back_single(core, pfn);
    context_.buddy.free(pfn, 0);
    ++free_;
    const Pfn block(align_down(pfn.value, kBlockPages));
    if (!context_.buddy.is_free_block(block)) return;
    const Because keying(core, Cause::kKeying);
    context_.protection.unmark(core, block, kBlockPages);
    context_.buddy.release_block(block);
    free_ -= kBlockPages;
    ++released_;
  }

  std::uint64_t cached() const override { return free_; }
  std::vector<OwnStatistic> own() const override {
    return {{"claimed", "blocks", "blocks claimed, each marked with one call", claimed_},
            {"released", "blocks", "blocks unmarked and given back", released_},
            {"single", "pages", "pages allocated one by one, for want of a block", single_},
            late_statistic()};
  }

  const bool per_page_;
  std::uint64_t free_ = 0, claimed_ = 0, released_ = 0, single_ = 0;
};

const Allocators::Entry pageblock_entry{{
    .name = "pageblock",
    .description = "a migrate type of the buddy allocator, whose 2 MB blocks are marked",
    .rank = 2,
    .pools = true,
    .parameters = {choice_parameter("fallback", "where no block is free: an error, or page by page",
                                    "error", {"error", "per-page"})},
    .make = make_allocator_of<PageBlock>,
}};

}  // namespace
}  // namespace kpksim::kernel
