#include "sim/kernel/mm.h"

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/gather.h"
#include "sim/kernel/path.h"
#include "sim/kernel/prot.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {

using mmu::Descriptor;
namespace field = mmu::field;

namespace {

constexpr std::uint64_t kMmapTop = 0xfffff7fff000;  // below the stack, growing down
constexpr std::uint64_t kMmapBase = 0x10000;

}  // namespace

Pfn PageCache::get(System& system, cpu::Core& core, std::uint32_t file, std::uint64_t index) {
  const auto [it, fresh] = pages_.try_emplace(std::uint64_t{file} << 40 | index);
  if (fresh) {
    it->second = system.allocate_pages(0);
    system.page(it->second).file = true;
    core.count_page_copy();  // filled from the disk
  }
  return it->second;
}

Mm::Mm(System& system, PageCache& cache, cpu::Core& core)
    : system_(system), cache_(cache), root_(system.allocator->allocate(core)) {}

Vma* Mm::find_vma(std::uint64_t va) {
  auto it = vmas_.upper_bound(va);
  if (it == vmas_.begin()) return nullptr;
  --it;
  return va < it->second.end ? &it->second : nullptr;
}

void Mm::split_vma(std::uint64_t at) {
  Vma* vma = find_vma(at);
  if (vma == nullptr || vma->start == at) return;
  Vma upper = *vma;
  upper.start = at;
  upper.file_offset += at - vma->start;
  vma->end = at;
  vmas_[at] = upper;
}

// Top down, as arch_get_unmapped_area_topdown: the highest gap below the mmap base.
std::uint64_t Mm::find_gap(std::uint64_t length) const {
  const std::uint64_t alignment = length >= kPmdSize ? kPmdSize : kPageSize;
  std::uint64_t top = kMmapTop;
  for (auto it = vmas_.rbegin(); it != vmas_.rend(); ++it) {
    if (it->second.start >= top) continue;
    if (top > length && align_down(top - length, alignment) >= it->second.end) break;
    top = it->second.start;
  }
  const std::uint64_t start = align_down(top - length, alignment);
  if (top < length + kMmapBase)
    throw InputError("no address range of this size is free in the process");
  return start;
}

std::uint64_t Mm::mmap(Vma vma, std::uint64_t length, std::uint64_t address, cpu::Core& core) {
  const Because because(core, Cause::kMmap);
  core.execute(path::kVmaCall);
  if (address == 0) address = find_gap(length);
  if (address + length > kUserEnd || address + length < address) {
    throw InputError("a mapping outside of the 48-bit user address space");
  }
  munmap(address, address + length, core);
  vma.start = address;
  vma.end = address + length;
  vmas_[address] = vma;
  return address;
}

template <class OnTable, class OnBlock>
void Mm::for_tables(std::uint64_t start, std::uint64_t end, cpu::Core& core, OnTable&& on_table,
                    OnBlock&& on_block) {
  for (std::uint64_t va = start; va < end;) {
    Pfn table = root_;
    for (unsigned level = 0; level < 3; ++level) {
      const std::uint64_t size = 1ull << mmu::level_shift(level);
      const PhysAddr entry = address_of(table) + ((va >> mmu::level_shift(level)) & 511) * 8;
      const Descriptor d{system_.tables.read(core, entry)};
      const std::uint64_t next = align_down(va, size) + size;
      if (!d.valid()) {
        va = next;
        break;
      }
      if (d.block()) {
        on_block(entry, align_down(va, size));
        va = next;
        break;
      }
      table = d.pfn();
      if (level == 2) {
        const std::uint64_t last = std::min(next, end);
        on_table(table, va, last);
        va = last;
      }
    }
  }
}

void Mm::zap(Gather& gather, std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const auto drop = [&](Descriptor old) {
    Page& page = system_.page(old.pfn());
    if (page.head != 0 || page.order != 0) {
      // Part of a large folio: freed with the last of its mappings.
      const Pfn head = old.pfn() - page.head;
      Page& folio = system_.page(head);
      return --folio.mapcount == 0 && !folio.file && gather.remove_page(head);
    }
    return --page.mapcount == 0 && !page.file && gather.remove_page(old.pfn());
  };
  for_tables(
      start, end, core,
      [&](Pfn table, std::uint64_t va, std::uint64_t last) {
        while (va < last) {
          bool full = false;
          {
            const LazySection lazy(system_.tables, core);
            for (; va < last && !full; va += kPageSize) {
              const PhysAddr entry = address_of(table) + ((va >> kPageShift) & 511) * 8;
              if (!Descriptor{system_.tables.read(core, entry)}.valid()) continue;
              const Descriptor old = system_.tables.get_and_clear(core, entry);
              core.execute(path::kZapPte);
              gather.cleared(va, kPageShift);
              full = drop(old);
            }
          }
          if (full) gather.flush(core);
        }
      },
      [&](PhysAddr entry, std::uint64_t va) {
        const Descriptor old = system_.tables.get_and_clear(core, entry);
        core.execute(path::kZapPte);
        gather.cleared(va, kPmdShift);
        Page& folio = system_.page(old.pfn());
        if (folio.mapcount <= kEntriesPerTable) {
          folio.mapcount = 0;
          if (gather.remove_page(old.pfn())) gather.flush(core);
        } else {
          folio.mapcount -= kEntriesPerTable;
        }
      });
}

// free_pgtables(): tables below [start, end) that no VMA outside needs.
void Mm::free_tables(Gather& gather, std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  // floor and ceiling: the neighbours' ends
  const auto above = vmas_.lower_bound(end);
  const std::uint64_t ceiling = above == vmas_.end() ? kUserEnd : above->second.start;
  const auto below = vmas_.lower_bound(start);
  const std::uint64_t floor = below == vmas_.begin() ? 0 : std::prev(below)->second.end;
  const auto visit = [&](auto&& self, Pfn table, unsigned level, std::uint64_t from,
                         std::uint64_t to) -> void {
    const std::uint64_t size = 1ull << mmu::level_shift(level);
    for (std::uint64_t va = align_down(from, size); va < to; va += size) {
      const PhysAddr entry = address_of(table) + ((va >> mmu::level_shift(level)) & 511) * 8;
      const Descriptor d{system_.tables.read(core, entry)};
      if (!d.valid() || !d.table_or_page()) continue;
      if (level < 2) self(self, d.pfn(), level + 1, std::max(from, va), std::min(to, va + size));
      if (va < floor || va + size > align_up(ceiling, ceiling == kUserEnd ? size : 1)) continue;
      system_.tables.set_table(core, entry, Descriptor{0});
      gather.remove_table(d.pfn(), va, size);
    }
  };
  visit(visit, root_, 0, start, end);
}

void Mm::unmap_range(std::uint64_t start, std::uint64_t end, bool tables, cpu::Core& core) {
  Gather gather(system_, *this, false, FlushSite::kUnmap);
  zap(gather, start, end, core);
  if (tables) free_tables(gather, start, end, core);
  gather.flush(core);
}

bool Mm::munmap(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  split_huge_at(start, core);
  split_huge_at(end, core);
  split_vma(start);
  split_vma(end);
  const auto first = vmas_.lower_bound(start);
  const auto last = vmas_.lower_bound(end);
  if (first == last) return false;
  const Because because(core, Cause::kMunmap);
  core.execute(path::kVmaCall);
  const std::uint64_t from = first->second.start;
  const std::uint64_t to = std::prev(last)->second.end;
  vmas_.erase(first, last);
  unmap_range(from, to, true, core);
  return true;
}

void Mm::exit(cpu::Core& core) {
  Gather gather(system_, *this, true, FlushSite::kExitMm);
  zap(gather, 0, kUserEnd, core);
  vmas_.clear();
  free_tables(gather, 0, kUserEnd, core);
  gather.flush(core);
  system_.allocator->free(core, root_);
}

bool Mm::mprotect(std::uint64_t start, std::uint64_t end, bool r, bool w, bool x, cpu::Core& core) {
  const Because because(core, Cause::kMprotect);
  core.execute(path::kVmaCall);
  split_huge_at(start, core);
  split_huge_at(end, core);
  split_vma(start);
  split_vma(end);
  const auto first = vmas_.lower_bound(start);
  if (first == vmas_.end() || first->first >= end) return false;
  for (auto it = first; it != vmas_.end() && it->first < end; ++it) {
    Vma& vma = it->second;
    if (vma.read == r && vma.write == w && vma.exec == x) continue;
    vma.read = r;
    vma.write = w;
    vma.exec = x;
    std::uint64_t low = ~0ull, high = 0;
    const auto change = [&](PhysAddr entry, std::uint64_t va, unsigned level) {
      Descriptor d{system_.tables.read(core, entry)};
      if (!d.valid()) return;
      core.execute(path::kMprotectPte);
      // ptep_modify_prot_start and _commit: clear, then set, a section each
      system_.tables.get_and_clear(core, entry);
      // A page may stay writable only if it was, or if it is ours alone (can_change_pte_writable).
      const Page& page = system_.page(d.pfn());
      const bool ours =
          vma.shared || (!page.file && system_.page(d.pfn() - page.head).mapcount == 1);
      const bool writable = w && (is_writable(d) || ours);
      d = user_leaf(d.output(), level, writable, x).with(field::kAp1, r || w || x ? 1 : 0);
      system_.tables.set_pte(core, entry, d, false);
      low = std::min(low, va);
      high = std::max<std::uint64_t>(high, va + (1ull << mmu::level_shift(level)));
    };
    for_tables(
        vma.start, vma.end, core,
        [&](Pfn table, std::uint64_t va, std::uint64_t last) {
          const LazySection lazy(system_.tables, core);
          for (; va < last; va += kPageSize) {
            change(address_of(table) + ((va >> kPageShift) & 511) * 8, va, 3);
          }
        },
        [&](PhysAddr entry, std::uint64_t va) { change(entry, va, 2); });
    if (high != 0) {
      system_.flush.range(core, FlushSite::kMprotect, asid, VirtAddr(low), VirtAddr(high),
                          kPageSize, true, 0);
    }
  }
  return true;
}

void Mm::madvise_dontneed(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(path::kVmaCall);
  split_huge_at(start, core);
  split_huge_at(end, core);
  unmap_range(start, end, false, core);
}

// MADV_FREE: the pages stay until memory is short; clean and old they must fault on the next write.
void Mm::madvise_free(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const Because because(core, Cause::kMadvise);
  core.execute(path::kVmaCall);
  std::uint64_t low = ~0ull, high = 0;
  for_tables(
      start, end, core,
      [&](Pfn table, std::uint64_t va, std::uint64_t last) {
        const LazySection lazy(system_.tables, core);
        for (; va < last; va += kPageSize) {
          const PhysAddr entry = address_of(table) + ((va >> kPageShift) & 511) * 8;
          const Descriptor d{system_.tables.read(core, entry)};
          if (!d.valid()) continue;
          system_.tables.update(core, entry, d.with(field::kAp2, 1));
          low = std::min(low, va);
          high = std::max(high, va + kPageSize);
        }
      },
      [](PhysAddr, std::uint64_t) {});
  if (high != 0) {
    system_.flush.range(core, FlushSite::kMadviseFree, asid, VirtAddr(low), VirtAddr(high),
                        kPageSize, true, 3);
  }
}

void Mm::set_huge(std::uint64_t start, std::uint64_t end, bool huge, cpu::Core& core) {
  split_huge_at(start, core);
  split_huge_at(end, core);
  split_vma(start);
  split_vma(end);
  for (auto it = vmas_.lower_bound(start); it != vmas_.end() && it->first < end; ++it) {
    it->second.huge = huge;
  }
}

std::uint64_t Mm::mremap(std::uint64_t start, std::uint64_t length, std::uint64_t new_length,
                         std::uint64_t new_address, cpu::Core& core) {
  if (new_length < length) {
    munmap(start + new_length, start + length, core);
    length = new_length;
  }
  const Because because(core, Cause::kMremap);
  core.execute(path::kVmaCall);
  split_vma(start);
  split_vma(start + length);
  Vma* vma = find_vma(start);
  if (vma == nullptr) return 0;
  const std::uint64_t end = start + length;
  const auto next = vmas_.lower_bound(end);
  const bool room = next == vmas_.end() || next->second.start >= start + new_length;
  if (new_address == start || (new_address == 0 && room)) {  // in place
    vma->end = start + new_length;
    return start;
  }
  Vma moved = *vma;
  const std::uint64_t target = mmap(moved, new_length, new_address, core);
  split_huge_range(start, end, core);
  // move_page_tables(): per page table one lazy section, clear here and set there
  std::uint64_t low = ~0ull, high = 0;
  for_tables(
      start, end, core,
      [&](Pfn table, std::uint64_t va, std::uint64_t last) {
        for (; va < last;) {
          const std::uint64_t to = target + (va - start);
          const std::uint64_t stop = std::min(last, va + (kPmdSize - to % kPmdSize));
          const PhysAddr dst = system_.find_entry(core, root_, VirtAddr(to), 3, true);
          const LazySection lazy(system_.tables, core);
          for (std::uint64_t i = 0; va < stop; va += kPageSize, ++i) {
            const PhysAddr entry = address_of(table) + ((va >> kPageShift) & 511) * 8;
            if (!Descriptor{system_.tables.read(core, entry)}.valid()) continue;
            core.execute(path::kMovePte);
            const Descriptor d = system_.tables.get_and_clear(core, entry);
            system_.tables.set_pte(core, dst + i * 8, d, false);
            low = std::min(low, va);
            high = std::max(high, va + kPageSize);
          }
        }
      },
      [](PhysAddr, std::uint64_t) {});
  if (high != 0) {
    system_.flush.range(core, FlushSite::kMremap, asid, VirtAddr(low), VirtAddr(high), kPageSize,
                        true, 3);
  }
  munmap(start, end, core);
  return target;
}

void Mm::fork_into(Mm& child, cpu::Core& core) {
  core.execute(path::kForkBase);
  child.brk_start = brk_start;
  child.brk = brk;
  for (const auto& [start, vma] : vmas_) {
    child.vmas_[start] = vma;
    core.execute(path::kVmaCall);
    // vma_needs_copy(): a file mapping without private pages is left to faults
    if (vma.anon_vma) copy_range(child, vma, core);
  }
  system_.flush.mm(core, FlushSite::kForkParent, asid);
}

void Mm::copy_range(Mm& child, const Vma& vma, cpu::Core& core) {
  const auto copy = [&](PhysAddr from, PhysAddr to, unsigned level) {
    Descriptor d{system_.tables.read(core, from)};
    if (!d.valid()) return;
    const Page& page = system_.page(d.pfn());
    Page& counted = system_.page(d.pfn() - page.head);
    counted.mapcount += level == 2 ? kEntriesPerTable : 1;
    if (!vma.shared && is_writable(d)) {  // ptep_set_wrprotect
      d = d.with(field::kAp2, 1);
      system_.tables.update(core, from, d);
    }
    system_.tables.set_pte(core, to, d, false);
    core.execute(path::kForkPte);
  };
  for_tables(
      vma.start, vma.end, core,
      [&](Pfn table, std::uint64_t va, std::uint64_t last) {
        const PhysAddr to = system_.find_entry(core, child.root_, VirtAddr(va), 3, true);
        const LazySection lazy(system_.tables, core);
        for (std::uint64_t i = 0; va < last; va += kPageSize, ++i) {
          copy(address_of(table) + ((va >> kPageShift) & 511) * 8, to + i * 8, 3);
        }
      },
      [&](PhysAddr entry, std::uint64_t va) {
        copy(entry, system_.find_entry(core, child.root_, VirtAddr(va), 2, true), 2);
      });
}

}  // namespace kpksim::kernel
