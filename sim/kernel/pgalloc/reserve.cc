// A fixed region of neighbouring pages, marked at boot with one call, which never grows or shrinks.
// Its lowest pages are handed out first, what came back before those never used. When it is used
// up, an allocation fails, or as an option goes page by page.

#include <fmt/core.h>

#include <bit>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::kernel {
namespace {

class Reserve final : public PageTableAllocator {
 public:
  Reserve(const AllocatorContext& context, const Parameters& p)
      : PageTableAllocator(context),
        size_(p.number("size")),
        per_page_(p.choice("fallback") == "per-page") {}

  // The region serves the splits of its own marking, and is marked with them.
  void boot(cpu::Core& core) override {
    const Because boot(core, Cause::kBoot);
    const auto order = static_cast<unsigned>(std::bit_width(size_ - 1));
    const auto region = order <= kMaxOrder ? context_.buddy.allocate(order, Mobility::kUnmovable)
                                           : context_.buddy.allocate_contiguous(order);
    if (!region) {
      throw InputError(fmt::format(
          "out of memory: no region of {} pages for page tables (give the machine more --memory, "
          "or a smaller reserve:size)",
          size_));
    }
    first_ = *region;
    context_.buddy.free_range(first_ + size_, (1ull << order) - size_);
    for (std::uint64_t i = size_; i-- > 0;) free_.push_back(first_ + i);
    context_.protection.mark(core, first_, size_, TableKind::kPool);
    mark_boot_tables(core);
  }
  Pfn allocate_for_split(cpu::Core& core) override {
    return free_.empty() ? late_page(core) : pop();
  }

 private:
  Pfn take(cpu::Core& core, TableKind kind) override {
    if (!free_.empty()) {
      const Pfn pfn = pop();
      zero_marked(core, pfn);
      return pfn;
    }
    if (!per_page_) {
      throw InputError(
          fmt::format("out of memory: all {} pages of the reserve are in use (give it more by "
                      "reserve:size, or use reserve:fallback=per-page)",
                      size_));
    }
    ++single_;
    return take_single(core, kind);
  }
  void give_back(cpu::Core& core, Pfn pfn) override {
    if (pfn < first_ || pfn >= first_ + size_) return give_back_single(core, pfn);
    free_.push_back(pfn);
  }
  Pfn pop() {
    const Pfn pfn = free_.back();
    free_.pop_back();
    return pfn;
  }

  std::uint64_t cached() const override { return free_.size(); }
  std::vector<OwnStatistic> own() const override {
    return {{"single", "pages", "pages allocated one by one, as the region was in use", single_},
            late_statistic()};
  }

  const std::uint64_t size_;
  const bool per_page_;
  Pfn first_;
  std::vector<Pfn> free_;  // the last is handed out first
  std::uint64_t single_ = 0;
};

const Allocators::Entry reserve_entry{{
    .name = "reserve",
    .description = "a fixed region, marked at boot",
    .rank = 2,
    .pools = true,
    .parameters = {{"size", "pages", "of the region", "4096", ParameterInfo::Kind::kNumber, 1,
                    1u << 24},
                   choice_parameter("fallback", "where all are in use: an error, or page by page",
                                    "error", {"error", "per-page"})},
    .make = make_allocator_of<Reserve>,
}};

}  // namespace
}  // namespace kpksim::kernel
