#include "sim/kernel/vmalloc.h"

#include <bit>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/path.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

namespace {

constexpr std::uint64_t kRamBlockPages = 1024;  // VMAP_BBMAP_BITS
constexpr std::uint64_t kRamMaxPages = 64;      // VMAP_MAX_ALLOC: larger ones are areas

}  // namespace

std::uint64_t Vmalloc::reserve(std::uint64_t bytes) {
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second < bytes) continue;
    const std::uint64_t start = it->first;
    const std::uint64_t rest = it->second - bytes;
    free_.erase(it);
    if (rest > 0) free_[start + bytes] = rest;
    return start;
  }
  throw InputError("vmalloc: no addresses left");
}

void Vmalloc::map(std::uint64_t va, const std::vector<Pfn>& pages, cpu::Core& core) {
  for (std::size_t i = 0; i < pages.size();) {
    const PhysAddr first =
        system_.find_entry(core, system_.linear_map.root(), VirtAddr(va + i * kPageSize), 3, true);
    const std::size_t slots = kEntriesPerTable - (first.value & (kPageSize - 1)) / 8;
    const LazySection lazy(system_.tables, core);
    for (std::size_t n = 0; n < slots && i < pages.size(); ++n, ++i) {
      system_.tables.set_pte(core, first + n * 8, kernel_leaf(address_of(pages[i]), 3, false),
                             true);
    }
  }
}

// vunmap_range_noflush(): every entry of the range is cleared, the guard page's too.
void Vmalloc::unmap(std::uint64_t va, std::uint64_t pages, cpu::Core& core) {
  for (std::uint64_t i = 0; i < pages;) {
    const PhysAddr first =
        system_.find_entry(core, system_.linear_map.root(), VirtAddr(va + i * kPageSize), 3, false);
    const std::uint64_t slots = first.value == 0
                                    ? kEntriesPerTable - ((va >> kPageShift) + i) % kEntriesPerTable
                                    : kEntriesPerTable - (first.value & (kPageSize - 1)) / 8;
    if (first.value == 0) {
      i += slots;
      continue;
    }
    const LazySection lazy(system_.tables, core);
    for (std::uint64_t n = 0; n < slots && i < pages; ++n, ++i) {
      system_.tables.get_and_clear(core, first + n * 8);
    }
  }
}

void Vmalloc::defer(std::uint64_t va, std::uint64_t bytes, cpu::Core& core) {
  waiting_[va] = bytes;
  waiting_pages_ += bytes >> kPageShift;
  // lazy_max_pages(): 32 MB for each bit of the number of cores
  const std::uint64_t limit =
      std::uint64_t{std::bit_width(system_.config.cores)} * (32ull << 20) / kPageSize;
  if (waiting_pages_ > limit) purge(core);
}

void Vmalloc::purge(cpu::Core& core) {
  if (waiting_.empty()) return;
  const Because because(core, Cause::kVmPurge);
  const auto& [last, last_bytes] = *waiting_.rbegin();
  system_.flush.kernel_range(core, FlushSite::kVmallocPurge, VirtAddr(waiting_.begin()->first),
                             VirtAddr(last + last_bytes));
  for (const auto& [va, bytes] : waiting_) {
    auto it = free_.emplace(va, bytes).first;
    if (const auto next = std::next(it);
        next != free_.end() && it->first + it->second == next->first) {
      it->second += next->second;
      free_.erase(next);
    }
    if (it != free_.begin()) {
      const auto previous = std::prev(it);
      if (previous->first + previous->second == it->first) {
        previous->second += it->second;
        free_.erase(it);
      }
    }
  }
  waiting_.clear();
  waiting_pages_ = 0;
}

std::uint64_t Vmalloc::allocate(std::uint64_t pages, cpu::Core& core) {
  const Because because(core, Cause::kVmalloc);
  core.execute(path::kVmalloc + path::kVmallocPage * pages);
  Area area;
  area.bytes = (pages + 1) * kPageSize;
  const std::uint64_t va = reserve(area.bytes);
  for (std::uint64_t i = 0; i < pages; ++i) area.pages.push_back(system_.allocate_pages(0));
  map(va, area.pages, core);
  areas_[va] = std::move(area);
  return va;
}

void Vmalloc::free(std::uint64_t address, cpu::Core& core) {
  const Because because(core, Cause::kVmalloc);
  const auto it = areas_.find(address);
  if (it == areas_.end()) throw InputError("vfree of an address that vmalloc did not give");
  const Area area = std::move(it->second);
  areas_.erase(it);
  unmap(address, area.bytes >> kPageShift, core);
  for (const Pfn pfn : area.pages) system_.buddy.free(pfn, 0);
  defer(address, area.bytes, core);
}

std::uint64_t Vmalloc::map_ram(std::uint64_t pages, cpu::Core& core) {
  if (pages > kRamMaxPages) return allocate(pages, core);
  const Because because(core, Cause::kVmalloc);
  core.execute(path::kVmMapRam);
  auto block = blocks_.find(current_block_);
  if (block == blocks_.end() || block->second.used + pages > kRamBlockPages) {
    if (block != blocks_.end()) {  // the rest of a full block is lost until all of it is free
      block->second.dirty += kRamBlockPages - block->second.used;
      block->second.used = kRamBlockPages;
      if (block->second.dirty == kRamBlockPages) {
        defer(block->first, kRamBlockPages * kPageSize, core);
        blocks_.erase(block);
      }
    }
    current_block_ = reserve(kRamBlockPages * kPageSize);
    block = blocks_.emplace(current_block_, RamBlock{current_block_, 0, 0}).first;
  }
  const std::uint64_t va = block->second.start + block->second.used * kPageSize;
  block->second.used += pages;
  std::vector<Pfn> frames;
  for (std::uint64_t i = 0; i < pages; ++i) frames.push_back(system_.allocate_pages(0));
  map(va, frames, core);
  ram_[va] = std::move(frames);
  return va;
}

void Vmalloc::unmap_ram(std::uint64_t address, cpu::Core& core) {
  const auto it = ram_.find(address);
  if (it == ram_.end()) return free(address, core);
  const Because because(core, Cause::kVmalloc);
  const std::vector<Pfn> frames = std::move(it->second);
  ram_.erase(it);
  unmap(address, frames.size(), core);
  for (const Pfn pfn : frames) system_.buddy.free(pfn, 0);
  const auto block = std::prev(blocks_.upper_bound(address));
  block->second.dirty += frames.size();
  if (block->second.dirty == kRamBlockPages) {
    const std::uint64_t start = block->first;
    blocks_.erase(block);
    defer(start, kRamBlockPages * kPageSize, core);
  }
}

bool Vmalloc::waiting(VirtAddr va) const {
  const auto within = [&](const auto& map, auto&& bytes_of) {
    auto it = map.upper_bound(va.value);
    if (it == map.begin()) return false;
    --it;
    return va.value < it->first + bytes_of(it->second);
  };
  return within(waiting_, [](std::uint64_t bytes) { return bytes; }) ||
         within(blocks_, [](const RamBlock&) { return kRamBlockPages * kPageSize; });
}

}  // namespace kpksim::kernel
