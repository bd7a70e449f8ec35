#include "sim/kernel/pgalloc/allocator.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"

namespace kpksim::kernel {

Pfn PageTableAllocator::allocate(cpu::Core& core) {
  const Pfn pfn = take(core);
  ++statistics_.allocated;
  statistics_.peak = std::max(statistics_.peak, ++statistics_.live);
  return pfn;
}

void PageTableAllocator::free(cpu::Core& core, Pfn pfn) {
  --statistics_.live;
  ++statistics_.freed;
  give_back(core, pfn);
}

std::uint64_t PageTableAllocator::shrink(cpu::Core& core) {
  constexpr std::uint64_t kBatch = 512;  // BLOCK_NR_PAGES
  const std::uint64_t freeable = shrinkable();
  if (freeable == 0) return 0;
  const std::uint64_t wanted = put_off_ + freeable / 2;  // seeks of 0: half
  std::uint64_t left = std::min(wanted, 2 * freeable);
  std::uint64_t freed = 0;
  while (left >= kBatch || left >= freeable) {
    const std::uint64_t now = scan(core, std::min(kBatch, left));
    if (now == 0) break;
    freed += now;
    left -= std::min(left, now);
  }
  put_off_ = std::min(wanted - std::min(wanted, freed), 2 * freeable);
  return freed;
}

Pfn PageTableAllocator::page(unsigned order) {
  const auto pfn = context_.buddy.allocate(order, Mobility::kUnmovable);
  if (!pfn)
    throw InputError("out of memory: no page for a page table (give the machine more --memory)");
  return *pfn;
}

void PageTableAllocator::zero(cpu::Core& core, Pfn pfn) {
  core.count_page_zero();
  core.cache_page(pfn);
  const mmu::Fault fault = core.store64(linear_va(address_of(pfn)), 0);
  if (fault) throw KernelOops("clear_page() refused", fault);
  context_.memory.zero_frame(pfn);
}

void PageTableAllocator::key_boot_tables(cpu::Core& core) {
  const Because boot(core, Cause::kBoot);
  context_.linear_map.key_boot_tables(core, kPkeyPgtables);
}

const std::vector<PolicyInfo>& allocators() {
  static const std::vector<PolicyInfo> all = {
      {"buddy", "plain pages, never keyed (with kpkeys-poe: sections that protect nothing)"},
      {"per-page", "each page keyed at allocation and unkeyed at free"},
      {"pba", "keyed pages cached, refilled by runs of 512, 16 or 4 pages (pkeys block allocator)"},
  };
  return all;
}

std::unique_ptr<PageTableAllocator> make_allocator(const std::string& name,
                                                   AllocatorContext context) {
  if (name == "buddy") return make_buddy(context);
  if (name == "per-page") return make_per_page(context);
  if (name == "pba") return make_pba(context);
  std::vector<std::string> names;
  for (const PolicyInfo& p : allocators()) names.emplace_back(p.name);
  throw InputError(fmt::format("'{}' is not a page-table allocator{}", name, suggest(name, names)));
}

}  // namespace kpksim::kernel
