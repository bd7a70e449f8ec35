#include "sim/kernel/pgalloc/allocator.h"

#include <algorithm>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"

namespace kpksim::kernel {

std::uint64_t AllocatorStatistics::own_value(std::string_view name) const {
  for (const OwnStatistic& s : own) {
    if (s.name == name) return s.value;
  }
  return 0;
}

AllocatorStatistics allocator_since(const AllocatorStatistics& before,
                                    const AllocatorStatistics& now) {
  AllocatorStatistics delta = since(before, now, kAllocatorStatistics);
  for (OwnStatistic& s : delta.own) {
    if (!s.level) s.value -= before.own_value(s.name);
  }
  return delta;
}

void append_allocator(AllocatorStatistics& sum, const AllocatorStatistics& next) {
  append(sum, next, kAllocatorStatistics);
  const AllocatorStatistics before = sum;
  sum.own = next.own;
  for (OwnStatistic& s : sum.own) {
    if (!s.level) s.value += before.own_value(s.name);
  }
}

Pfn PageTableAllocator::allocate(cpu::Core& core, TableKind kind) {
  const Pfn pfn = take(core, kind);
  ++allocated_;
  peak_ = std::max(peak_, ++live_);
  return pfn;
}

void PageTableAllocator::free(cpu::Core& core, Pfn pfn) {
  --live_;
  ++freed_;
  give_back(core, pfn);
}

AllocatorStatistics PageTableAllocator::statistics() const {
  return {live_, peak_, cached(), allocated_, freed_, own()};
}

std::uint64_t PageTableAllocator::shrink(cpu::Core& core) {
  return shrinker_.shrink(shrinkable(), [&](std::uint64_t count) { return scan(core, count); });
}

Pfn PageTableAllocator::page(const cpu::Core& core, unsigned order) {
  const auto pfn = context_.buddy.allocate(core, order, Mobility::kUnmovable);
  if (!pfn)
    throw InputError("out of memory: no page for a page table (give the machine more --memory)");
  return *pfn;
}

// DC ZVA of each line: the page must stay writable to its end.
void PageTableAllocator::zero(cpu::Core& core, Pfn pfn) {
  core.count_page_zero();
  core.cache_page(pfn);
  VirtAddr page = context_.tables.pointer_to(core, address_of(pfn));
  for (std::uint64_t at = 0; at < kPageSize; at += cpu::kLineBytes) {
    mmu::Fault fault = core.zero_line(page + at);
    if (fault && context_.tables.let_pass(core, fault)) {
      page = context_.tables.pointer_to(core, address_of(pfn));  // its tag may have changed
      fault = core.zero_line(page + at);
    }
    if (fault) throw KernelOops("clear_page() refused", fault);
  }
}

void PageTableAllocator::zero_marked(cpu::Core& core, Pfn pfn) {
  const Window window(context_.tables, core, pfn);
  zero(core, pfn);
}

void PageTableAllocator::mark_boot_tables(cpu::Core& core) {
  const Because boot(core, Cause::kBoot);
  for (const auto& [first, count] : context_.linear_map.boot_tables()) {
    context_.protection.mark(core, first, count, TableKind::kLinearMap);
  }
}

std::uint64_t PageTableAllocator::mark_boot_ranges(cpu::Core& core) {
  const Because boot(core, Cause::kBoot);
  using Ranges = std::vector<std::pair<Pfn, std::uint64_t>>;
  Ranges memblock = context_.linear_map.boot_tables(), ranges;
  if (const std::uint64_t rest = context_.linear_map.boot_rest(); rest != 0) {
    const auto [first, pages] = memblock.back();
    memblock.pop_back();
    ranges.emplace_back(first, pages - rest);
    context_.buddy.free_range(first + (pages - rest), rest);
  }
  const std::size_t last = ranges.size();  // is never merged
  for (const auto& [first, pages] : memblock) {
    if (ranges.size() > last && ranges.back().first + ranges.back().second == first) {
      ranges.back().second += pages;
    } else {
      ranges.emplace_back(first, pages);
    }
  }
  for (const auto& [first, pages] : ranges) {
    context_.protection.mark(core, first, pages, TableKind::kLinearMap);
  }
  return ranges.size();
}

Pfn PageTableAllocator::take_single(cpu::Core& core, TableKind kind) {
  const Pfn pfn = page(core);
  zero(core, pfn);
  const Because keying(core, Cause::kKeying);
  context_.protection.mark(core, pfn, 1, kind);
  return pfn;
}

void PageTableAllocator::give_back_single(cpu::Core& core, Pfn pfn) {
  const Because keying(core, Cause::kKeying);
  context_.protection.unmark(core, pfn, 1);
  context_.buddy.free(core, pfn, 0);
}

Pfn PageTableAllocator::late_page(const cpu::Core& core) {
  late_.push_back(page(core));
  return late_.back();
}

void PageTableAllocator::finish_split(cpu::Core& core) {
  while (!late_.empty()) {
    const Pfn pfn = late_.back();
    late_.pop_back();
    ++late_marked_;
    context_.protection.mark(core, pfn, 1, TableKind::kLinearMap);
  }
}

OwnStatistic PageTableAllocator::late_statistic() const {
  return {"late", "pages", "tables of splits that were marked after the split", late_marked_};
}

}  // namespace kpksim::kernel
