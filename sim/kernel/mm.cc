#include "sim/kernel/mm.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"
#include "sim/kernel/gather.h"
#include "sim/kernel/prot.h"
#include "sim/kernel/span.h"

namespace kpksim::kernel {

using mmu::Descriptor;

std::optional<Pfn> PageCache::find(System& system, cpu::Core& core, const Vma& vma,
                                   std::uint64_t index) {
  if (!vma.shmem) return get(system, core, vma, index);
  const auto it = pages_.find(std::uint64_t{vma.file_id} << 40 | index);
  if (it == pages_.end()) return std::nullopt;
  return it->second;
}

Pfn PageCache::get(System& system, cpu::Core& core, const Vma& vma, std::uint64_t index) {
  const auto [it, fresh] = pages_.try_emplace(std::uint64_t{vma.file_id} << 40 | index);
  if (fresh) {
    it->second = system.allocate_page(core);
    system.page(it->second).file = true;
    system.page(it->second).refs = 1;
    // Files of a file system have been read before: what that costs is the disk's.
    if (vma.shmem) {
      core.execute(system.path().cache_page);
      core.count_page_zero();
    }
  }
  return it->second;
}

std::uint64_t PageCache::pages_of(std::uint32_t file_id) const {
  const auto it = lengths_.find(file_id);
  return it == lengths_.end() ? FileRange::kEnd : it->second;
}

bool PageCache::has(const Vma& vma, std::uint64_t index, Pfn pfn) const {
  const auto it = pages_.find(std::uint64_t{vma.file_id} << 40 | index);
  return it != pages_.end() && it->second == pfn;
}

bool PageCache::drop(System& system, cpu::Core& core, const FileRange& range) {
  bool mapped = false;
  const std::uint64_t file = std::uint64_t{range.file_id} << 40;
  const auto last = pages_.lower_bound(file + range.last);
  constexpr std::uint64_t kNodePages = 64;  // XA_CHUNK_SIZE
  for (auto it = pages_.lower_bound(file + range.first); it != last;) {
    core.execute_lists(system.path().drop_page);
    mapped |= system.page(system.head_of(it->second)).mapcount != 0;
    system.put_folio(core, it->second, 1);
    const std::uint64_t node = it->first / kNodePages;
    it = pages_.erase(it);
    const bool left = (it != pages_.end() && it->first / kNodePages == node) ||
                      (it != pages_.begin() && std::prev(it)->first / kNodePages == node);
    if (!left) system.rcu.call(core);  // xa_node_free()
  }
  return mapped;
}

Mm::Mm(System& system, PageCache& cache, cpu::Core& core)
    : locks(system.locks()),
      system_(system),
      cache_(cache),
      root_(system.allocator->allocate(core, TableKind::kUser)) {
  if (system.taps.observer != nullptr) system.taps.observer->table_taken(core, root_, root_);
  system.exposure.add(root_, root_);
  system_.hugetlb.spaces.push_back(this);
}

unsigned Mm::count_batch(cpu::Core& core, PhysAddr entry, Descriptor first, unsigned most) {
  unsigned n = 1;
  while (n < most) {
    const Descriptor next = read(core, entry + n * 8);
    if (is_none(next) || next.pfn() != first.pfn() + n || is_writable(next) != is_writable(first)) {
      break;
    }
    ++n;
  }
  return n;
}

void Mm::start_write(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  if (locks.off()) return;
  const Vma* const below = start == 0 ? nullptr : vmas_.find(start - 1);
  const Vma* const above = vmas_.find(end);
  locks.start_write(below != nullptr ? below->start : start, above != nullptr ? above->end : end,
                    core);
}

bool Mm::any_hugetlb(std::uint64_t start, std::uint64_t end) const {
  return std::any_of(vmas_.all().begin(), vmas_.all().end(), [&](const auto& at) {
    return at.second.hugetlb != 0 && at.second.end > start && at.first < end;
  });
}

void Mm::isolate(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  start_write(start, end, core);
  for (const std::uint64_t at : {start, end}) {
    const Vma* vma = vmas_.find(at);
    if (vma == nullptr || vma->start == at) continue;
    if (vma->hugetlb != 0 && !is_aligned(at, 1ull << vma->hugetlb)) {  // hugetlb_vm_op_split()
      throw InputError(fmt::format("a call begins or ends within a huge page, at {:#x}", at));
    }
    split_huge_at(at, core);  // vma_adjust_trans_huge()
    vmas_.split(at);
    core.execute(system_.path().vma_split);
    stored(at, at + 1, core);
  }
}

// find_mergeable_anon_vma(): a neighbour of the same kind lends its own.
void Mm::prepare_anon_vma(Vma& vma) {
  if (vma.anon_vma != 0) return;
  const auto lends = [&](const Vma* other) {
    return other != nullptr && other->anon_vma != 0 && !other->anon_vma_chained &&
           other->file == vma.file && other->file_id == vma.file_id &&
           other->shared == vma.shared && other->dont_fork == vma.dont_fork &&
           other->wipe_on_fork == vma.wipe_on_fork && other->locked == vma.locked &&
           other->lock_on_fault == vma.lock_on_fault && other->huge == vma.huge &&
           other->grows_down == vma.grows_down &&
           (!vma.file || other->page_index(vma.start) == vma.page_index(vma.start));
  };
  const Vma* below = vma.start == 0 ? nullptr : vmas_.find(vma.start - 1);
  const Vma* above = vmas_.find(vma.end);
  vma.anon_vma = lends(above)   ? above->anon_vma
                 : lends(below) ? below->anon_vma
                                : ++system_.last_anon_vma;
}

std::uint64_t Mm::mmap(Vma vma, std::uint64_t length, std::uint64_t address, cpu::Core& core,
                       bool fixed) {
  core.execute(system_.path().mmap);
  return map(vma, length, address, core, fixed);
}

// get_unmapped_area()
std::uint64_t Mm::unmapped_area(const Vma& vma, std::uint64_t length) const {
  const bool aligned = !vma.file && is_aligned(length, kPmdSize);
  const auto gap = vma.hugetlb != 0 ? vmas_.find_hugetlb_gap(length, 1ull << vma.hugetlb)
                                    : vmas_.find_gap(length, aligned);
  if (!gap) throw InputError("no address range of this size is free in the process");
  return *gap;
}

std::uint64_t Mm::map(Vma vma, std::uint64_t length, std::uint64_t address, cpu::Core& core,
                      bool fixed) {
  const Because because(core, Cause::kMmap);
  if (address == 0 && !fixed) address = unmapped_area(vma, length);
  if (address + length > kUserEnd || address + length < address) {
    throw InputError("a mapping outside of the 48-bit user address space");
  }
  if (vma.hugetlb != 0 && !is_aligned(address, 1ull << vma.hugetlb)) {
    throw InputError(fmt::format("{:#x} is no multiple of the mapping's huge pages", address));
  }
  start_write(address, address + length, core);
  munmap(address, address + length, core);
  vma.start = address;
  vma.end = address + length;
  const Vma& placed = vmas_.insert(vma);
  stored(placed.start, placed.end, core);
  return address;
}

bool Mm::munmap(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  isolate(start, end, core);
  const auto first = vmas_.first_above(start);
  if (first == vmas_.end() || first->first >= end) return false;
  const Because because(core, Cause::kMunmap);
  core.execute(system_.path().munmap);
  const std::uint64_t floor = vmas_.end_below(first->first);
  const std::uint64_t ceiling = vmas_.start_above(end).value_or(0);  // 0: the top
  // vms_gather_munmap_vmas(): they leave the tree before their pages go.
  VmaTree::Map gone;
  for (auto it = first; it != vmas_.end() && it->first < end; it = vmas_.first_above(start)) {
    gone.insert(*it);
    vmas_.erase(it->first);
  }
  stored(start, end, core);
  Gather gather(system_, space, false, FlushSite::kUnmap);
  for (const auto& [at, vma] : gone) zap(gather, vma, vma.start, vma.end, core);
  free_tables(gather, gone, floor, ceiling, core);
  gather.flush(core);
  for (const auto& [at, vma] : gone) hugetlb_close(vma);
  core.execute(system_.path().munmap_vma * gone.size());
  system_.rcu.call(core, gone.size());  // vm_area_free()
  return true;
}

void Mm::exit(cpu::Core& core) {
  const Span span(system_.taps, core, Work::kExitMm);
  Gather gather(system_, space, true, FlushSite::kExitMm);
  for (const auto& [start, vma] : vmas_.all()) zap(gather, vma, vma.start, vma.end, core);
  // free_pgtables(): unlink_anon_vmas() of each, which may empty a slab.
  std::uint64_t left = forked_vmas_;
  for (const auto& [start, vma] : vmas_.all()) {
    if (vma.anon_vma == 0) continue;
    core.execute(system_.path().unlink_anon_vma);
    if (left == 0) continue;
    --left;
    system_.rcu.call(core, system_.vma_slabs.give(1));
  }
  system_.rcu.call(core, system_.vma_slabs.give(left));  // of VMAs that went before
  free_tables(gather, vmas_.all(), 0, 0, core);
  gather.flush(core);
  for (const auto& [start, vma] : vmas_.all()) hugetlb_close(vma);
  std::erase(system_.hugetlb.spaces, this);
  vmas_.clear();
  if (!deposited_.empty()) throw ModelError("page tables of huge pages are left over");
  system_.free_table(core, root_);
}

std::uint64_t Mm::anon_vmas() const {
  return static_cast<std::uint64_t>(
      std::count_if(vmas_.all().begin(), vmas_.all().end(),
                    [](const auto& at) { return at.second.anon_vma != 0; }));
}

void Mm::set_brk(std::uint64_t address, cpu::Core& core) {
  address = std::max(align_up(address, kPageSize), brk_start);
  core.execute(system_.path().brk);
  if (address < brk) {
    munmap(address, brk, core);
  } else if (address > brk) {
    Vma heap;
    heap.read = heap.write = heap.heap = true;
    lock_if_asked(heap);
    map(heap, address - brk, brk, core);
    if (heap.locked) populate_mapping(brk, address, core);
  }
  brk = address;
}

// mprotect_fixup() finds the flags as they are.
void Mm::finish_stack(std::uint64_t top, std::uint64_t bytes, cpu::Core& core) {
  if (vmas_.empty()) throw ModelError("exec has no stack");
  if (top != vmas_.all().rbegin()->second.end) move_stack(top, core);
  placement.stack_top = top;
  Vma grown = vmas_.all().rbegin()->second;  // expand_stack()
  vmas_.erase(grown.start);
  grown.start = top - bytes;
  vmas_.insert(grown);
  stored(grown.start, grown.end, core);
}

void Mm::stored(std::uint64_t start, std::uint64_t end, cpu::Core& core) {
  const MapleTree::Written written = maple_.store(vmas_, start, end);
  core.execute(system_.path().maple_node * written.nodes +
               (written.reshaped ? system_.path().maple_reshape : 0));
  system_.rcu.call(core, written.freed);
}

}  // namespace kpksim::kernel
