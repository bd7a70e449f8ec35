#include "sim/kernel/vmalloc.h"

#include <bit>
#include <utility>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/prot.h"
#include "sim/kernel/span.h"

namespace kpksim::kernel {

using mmu::Descriptor;

namespace {

constexpr std::uint64_t kRamBlockPages = 1024;  // VMAP_BBMAP_BITS
constexpr std::uint64_t kRamMaxPages = 64;      // VMAP_MAX_ALLOC: larger ones are areas
constexpr unsigned kBlockOrder = kPmdShift - kPageShift;
constexpr unsigned kRunOrder = 4;                                       // a contiguous run of 64 KB
constexpr std::uint64_t kStackAlignment = 2 * kStackPages * kPageSize;  // THREAD_ALIGN

}  // namespace

// What boot maps there for good: the kernel's image and its own allocations, the stacks of its
// threads (each leaves a hole up to the next), and the devices of the measured machine (QEMU's
// virt): the GIC's redistributors and the PCI configuration space, aligned as ioremap() does.
Vmalloc::Vmalloc(System& system) : system_(system) {
  const std::uint64_t start = kVmallocStart + system.profile.vmalloc_boot_pages * kPageSize;
  free_[start] = kVmallocEnd - start;
  for (const std::uint64_t device : {0xf6'0000ull, 0x1000'0000ull}) {
    reserve(device + kPageSize, std::bit_ceil(device));
  }
  for (unsigned i = 0; i < system.profile.kernel_threads; ++i) {
    reserve((kStackPages + 1) * kPageSize, kStackAlignment);
  }
}

// __alloc_vmap_area(): the lowest free range that fits; where more than a page's alignment is
// wanted, one that fits however it starts. One core has no vmap_node: purged areas go back to the
// free ranges, and merge.
std::uint64_t Vmalloc::reserve(std::uint64_t bytes, std::uint64_t alignment) {
  const std::uint64_t wanted = alignment > kPageSize ? bytes + alignment - 1 : bytes;
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second < wanted) continue;
    const std::uint64_t start = align_up(it->first, alignment);
    const std::uint64_t end = it->first + it->second;
    const std::uint64_t before = start - it->first;
    if (before > 0) {
      it->second = before;
    } else {
      free_.erase(it);
    }
    if (start + bytes < end) free_[start + bytes] = end - start - bytes;
    return start;
  }
  throw InputError("vmalloc: no addresses left");
}

// `pages` pages in runs of `order`; a run that memory does not have makes all of them single.
Vmalloc::Area Vmalloc::build(const cpu::Core& core, std::uint64_t pages, unsigned order) {
  Area area;
  while (pages > 0) {
    if (const auto run = pages >= 1ull << order
                             ? system_.buddy.allocate(core, order, Mobility::kUnmovable)
                             : std::nullopt) {
      area.runs.push_back({*run, order});
      pages -= 1ull << order;
      continue;
    }
    if (order == 0) throw InputError("out of memory: no pages for vmalloc (give more --memory)");
    order = order > kRunOrder && pages >= 1ull << kRunOrder ? kRunOrder : 0;
  }
  return area;
}

// A guard's look for the open section: contiguous runs are written by set_huge_pte_at() and
// cleared by get_clear_contig(), the loops over single entries contain it.
std::optional<std::uint64_t> Vmalloc::look(bool contiguous) const {
  if (contiguous) return {};
  return system_.path().vmalloc_section_open;
}

// vmap_pages_range_noflush(): per page table, in a lazy MMU section where the kernel has it; each
// contiguous run is a call, and so a section, of its own.
void Vmalloc::map(std::uint64_t va, const Area& area, cpu::Core& core) {
  const Pfn root = system_.linear_map.root();
  std::optional<LazySection> lazy;
  for (const Run& run : area.runs) {
    if (run.order == kBlockOrder) {
      lazy.reset();
      const PhysAddr pmd = system_.find_entry(core, root, VirtAddr(va), 2, true);
      system_.tables.set_table(core, pmd, kernel_leaf(address_of(run.first), 2, false), 2);
      va += kPmdSize;
      continue;
    }
    const bool contiguous = run.order == kRunOrder && system_.profile.vmalloc_contiguous;
    for (std::uint64_t i = 0; i < 1ull << run.order; ++i, va += kPageSize) {
      if (!lazy || va % kPmdSize == 0 || (contiguous && i == 0)) {
        lazy.reset();
        const PhysAddr first = system_.find_entry(core, root, VirtAddr(va), 3, true);
        if (system_.profile.vmalloc_lazy) {
          lazy.emplace(system_.tables, core, Target(frame_of(first)), look(contiguous));
        }
      }
      const PhysAddr entry = system_.find_entry(core, root, VirtAddr(va), 3, false);
      system_.tables.set_pte(core, entry, kernel_leaf(address_of(run.first + i), 3, contiguous),
                             true);
    }
    if (contiguous) lazy.reset();
  }
}

// vunmap_range_noflush(): every entry of the range is cleared, the guard page's too.
void Vmalloc::unmap(std::uint64_t va, std::uint64_t pages, bool contiguous, cpu::Core& core) {
  const Pfn root = system_.linear_map.root();
  for (const std::uint64_t end = va + pages * kPageSize; va < end;) {
    const std::uint64_t next = std::min(align_down(va, kPmdSize) + kPmdSize, end);
    const PhysAddr pmd = system_.find_entry(core, root, VirtAddr(va), 2, false);
    const Descriptor d{pmd.value == 0 ? 0 : system_.tables.read(core, pmd)};
    if (d.block()) {
      system_.tables.set_table(core, pmd, Descriptor{0}, 2);
    } else if (d.valid()) {
      std::optional<LazySection> lazy;
      if (system_.profile.vmalloc_lazy) {
        lazy.emplace(system_.tables, core, Target(d.pfn()), look(contiguous));
      }
      for (std::uint64_t at = va; at < next; at += kPageSize) {
        system_.tables.get_and_clear(core, system_.find_entry(core, root, VirtAddr(at), 3, false));
      }
    }
    va = next;
  }
}

void Vmalloc::release(const cpu::Core& core, const Area& area) {
  for (const Run& run : area.runs) system_.buddy.free_split(core, run.first, run.order);
}

bool Vmalloc::defer(std::uint64_t va, std::uint64_t bytes, cpu::Core& core) {
  waiting_[va] = bytes;
  waiting_pages_ += bytes >> kPageShift;
  // lazy_max_pages(): 32 MB for each bit of the number of cores
  const std::uint64_t limit =
      static_cast<std::uint64_t>(std::bit_width(system_.config.cores)) * (32ull << 20) / kPageSize;
  if (waiting_pages_ <= limit) return false;
  purge(core);
  return true;
}

void Vmalloc::unmap_aliases(cpu::Core& core) {
  for (auto it = blocks_.begin(); it != blocks_.end();) {  // purge_fragmented_block()
    const auto [start, block] = *it;
    if (block.free + block.dirty != kRamBlockPages) {
      ++it;
      continue;
    }
    it = blocks_.erase(it);
    system_.rcu.call(core);  // kfree_rcu() of the block
    defer(start, kRamBlockPages * kPageSize, core);
  }
  purge(core);
}

void Vmalloc::purge(cpu::Core& core) {
  const Holding mutex(system_.locks(), purge_lock_, core);
  if (waiting_.empty()) return;
  const Span span(system_.taps, core, Work::kVmPurge);
  const Because because(core, Cause::kVmPurge);
  // What other cores free during the flush is not part of it.
  const std::map<std::uint64_t, std::uint64_t> purged = std::exchange(waiting_, {});
  waiting_pages_ = 0;
  const auto& [last, last_bytes] = *purged.rbegin();
  system_.flush.kernel_range(core, FlushSite::kVmallocPurge, VirtAddr(purged.begin()->first),
                             VirtAddr(last + last_bytes));
  for (const auto& [va, bytes] : purged) {
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
}

// Half of what an allocation and its free do with each page; which half is longer is not measured.
void Vmalloc::work_on_pages(const Area& area, std::uint64_t pages, cpu::Core& core) const {
  const PathLengths& path = system_.path();
  core.execute_loop(path.vmalloc_page * pages / 2);
  // Runs come from the buddy allocator and go back to it page by page, where they merge again.
  const bool runs = !area.runs.empty() && area.runs.front().order == kRunOrder;
  if (runs) core.execute_lists(path.vmalloc_run_page * pages / 2);
}

std::uint64_t Vmalloc::allocate(std::uint64_t pages, bool huge, cpu::Core& core) {
  unsigned order = 0;
  if (huge && pages >= 1ull << kBlockOrder) {
    order = kBlockOrder;
  } else if (huge && pages >= 1ull << kRunOrder && system_.profile.vmalloc_contiguous) {
    order = kRunOrder;
  }
  return allocate(pages, order, kPageSize << order, core);
}

std::uint64_t Vmalloc::allocate_stack(cpu::Core& core) {
  return allocate(kStackPages, 0, kStackAlignment, core);
}

std::uint64_t Vmalloc::allocate(std::uint64_t pages, unsigned order, std::uint64_t alignment,
                                cpu::Core& core) {
  const Span span(system_.taps, core, Work::kVmalloc);
  const Because because(core, Cause::kVmalloc);
  Area area = build(core, pages, order);
  core.execute(system_.path().vmalloc / 2);
  work_on_pages(area, pages, core);
  // area, address range and page array from slab and pool, busy list, page lists, nr_vmalloc_pages
  system_.atomics(core, 6);
  for (const Run& run : area.runs) {
    for (unsigned i = 0; i < 1u << run.order; ++i) system_.touch_page(core, run.first + i);
  }
  area.bytes = (pages + 1) * kPageSize;
  const std::uint64_t va = reserve(area.bytes, alignment);
  map(va, area, core);
  areas_[va] = std::move(area);
  return va;
}

bool Vmalloc::free(std::uint64_t address, cpu::Core& core) {
  const Span span(system_.taps, core, Work::kVfree);
  const Because because(core, Cause::kVmalloc);
  const auto it = areas_.find(address);
  if (it == areas_.end()) throw InputError("vfree of an address that vmalloc did not give");
  const Area area = std::move(it->second);
  areas_.erase(it);
  core.execute(system_.path().vmalloc / 2);
  const bool runs = !area.runs.empty() && area.runs.front().order == kRunOrder;
  unmap(address, area.bytes >> kPageShift, runs, core);
  for (const Run& run : area.runs) {  // __free_page() of each, with the lock of the page lists
    for (unsigned i = 0; i < 1u << run.order; ++i) {
      system_.atomic_page(core, run.first + i, 1);
      system_.atomics(core, 1);
    }
  }
  // busy and lazy list, vmap_lazy_nr, nr_vmalloc_pages, page array and area back to slab
  system_.atomics(core, 6);
  work_on_pages(area, (area.bytes >> kPageShift) - 1, core);
  release(core, area);
  return defer(address, area.bytes, core);
}

std::uint64_t Vmalloc::map_ram(std::uint64_t pages, cpu::Core& core) {
  if (pages > kRamMaxPages) return allocate(pages, false, core);
  const Because because(core, Cause::kVmalloc);
  core.execute(system_.path().vm_map_ram / 2);
  system_.atomics(core, 1);  // vb_alloc(): the block's lock
  const std::uint64_t rounded = std::bit_ceil(pages);
  auto block = blocks_.begin();
  while (block != blocks_.end() && block->second.free < rounded) ++block;
  if (block == blocks_.end()) {
    const std::uint64_t bytes = kRamBlockPages * kPageSize;
    block = blocks_.emplace(reserve(bytes, bytes), RamBlock{kRamBlockPages, 0}).first;
  }
  const std::uint64_t va = block->first + (kRamBlockPages - block->second.free) * kPageSize;
  block->second.free -= rounded;
  Area area = build(core, pages, 0);
  area.bytes = pages * kPageSize;
  map(va, area, core);
  ram_[va] = std::move(area);
  return va;
}

bool Vmalloc::unmap_ram(std::uint64_t address, cpu::Core& core) {
  const auto it = ram_.find(address);
  if (it == ram_.end()) return free(address, core);
  const Because because(core, Cause::kVmalloc);
  const Area area = std::move(it->second);
  ram_.erase(it);
  const std::uint64_t pages = area.bytes >> kPageShift;
  core.execute(system_.path().vm_map_ram / 2);
  system_.atomics(core, 2);  // vb_free(): the block's lock, twice
  unmap(address, pages, false, core);
  release(core, area);
  const auto block = std::prev(blocks_.upper_bound(address));
  block->second.dirty += std::bit_ceil(pages);
  if (block->second.dirty != kRamBlockPages) return false;
  const std::uint64_t start = block->first;
  blocks_.erase(block);
  system_.rcu.call(core);  // kfree_rcu() of the block
  return defer(start, kRamBlockPages * kPageSize, core);
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
