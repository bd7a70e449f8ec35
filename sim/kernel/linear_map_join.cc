// Joining what splits of the linear map have left, once all of it is alike again: sixteen entries
// to a contiguous run, a table of 512 to the block that it was split from. No arm64 kernel does
// this (up to Linux 7.3 what split_kernel_leaf_mapping() has split stays split); x86 has it
// since 6.15, for executable memory alone (cpa_collapse_large_pages()). So it is a what-if, off by
// default.
//
// Entries are changed in place, as in a split, which needs FEAT_BBM level 2 as well. A table leaves
// by its entry, then the flush of what it mapped, then that of the walk caches, and only then goes
// back. Boot's own tables stay, as they map what no block could.
//
// A change holds the mutex of splits from its split until it has joined: the leaves that another
// core has just split, and not changed yet, are alike, and a table that it has found could go.

#include <algorithm>

#include "sim/kernel/linear_map.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {

using mmu::Descriptor;

// The entry for `va` at this level, if the walk comes so far.
std::optional<LinearMap::Entry> LinearMap::entry_at(cpu::Core& core, VirtAddr va,
                                                    unsigned level) const {
  Pfn table = root_;
  for (unsigned at = 0;; ++at) {
    const PhysAddr address = entry_of(table, va, at);
    const Descriptor d{tables_.read(core, address)};
    if (at == level) return Entry{address, d, at};
    if (!d.valid() || d.block()) return std::nullopt;
    table = d.pfn();
  }
}

// Are these entries leaves that map one stretch alike? Whether they are a run already is not asked.
bool LinearMap::is_uniform(cpu::Core& core, PhysAddr first, unsigned entries,
                           unsigned level) const {
  const auto plain = [&](unsigned i) {
    return Descriptor{tables_.read(core, first + i * 8)}.with(mmu::field::kContiguous, 0);
  };
  const Descriptor begin = plain(0);
  if (!begin.valid() || (level != mmu::kLastLevel && !begin.block())) return false;
  const std::uint64_t size = 1ull << mmu::level_shift(level);
  if (!is_aligned(begin.output().value, entries * size)) return false;
  for (unsigned i = 1; i < entries; ++i) {
    if (plain(i).raw != begin.raw + i * size) return false;
  }
  return true;
}

// The run of sixteen entries around `va`.
bool LinearMap::join_run(cpu::Core& core, VirtAddr va, unsigned level) {
  const std::optional<Entry> entry = entry_at(core, va, level);
  if (!entry || entry->descriptor.contiguous()) return false;
  const PhysAddr first(align_down(entry->address.value, kContiguousEntries * 8));
  if (!is_uniform(core, first, kContiguousEntries, level)) return false;
  for (unsigned i = 0; i < kContiguousEntries; ++i) {
    const Descriptor d{tables_.read(core, first + i * 8)};
    tables_.set_pte(core, first + i * 8, d.with(mmu::field::kContiguous, 1), true);
  }
  ++statistics_.joined_runs;
  return true;
}

// The table that the entry for `va` at this level leads to becomes that entry's block.
bool LinearMap::join_table(cpu::Core& core, FlushSite site, VirtAddr va, unsigned level) {
  const std::optional<Entry> entry = entry_at(core, va, level);
  if (!entry || !entry->descriptor.valid() || entry->descriptor.block()) return false;
  const Pfn table = entry->descriptor.pfn();
  if (!split_tables_.contains(table)) return false;
  if (!is_uniform(core, address_of(table), kEntriesPerTable, level + 1)) return false;
  const Descriptor leaf{tables_.read(core, address_of(table))};
  const std::uint64_t size = 1ull << mmu::level_shift(level);
  {
    const LazySection lazy(tables_, core, Target());
    Descriptor block = linear_leaf(leaf.output(), level, false);
    block.raw = (block.raw & ~kSplitAttributes) | (leaf.raw & kSplitAttributes);
    tables_.set_pte(core, entry->address, block, true);
  }
  const VirtAddr start(align_down(va.value, size));
  flush_.kernel_range(core, site, start, start + size);
  flush_.kernel_table(core, site, start);
  split_tables_.erase(table);
  if (observer_ != nullptr) observer_->joined(table);
  if (Observer* const watching = tables_.taps().observer) watching->table_freed(core, table);
  table_source_->take_back(core, table);
  ++statistics_.joined;
  return true;
}

// Tables for a split are got ready without the mutex, as that may change another range of the map;
// so whether there is something to split is asked once more if others have run meanwhile.
// True: there is.
bool LinearMap::lock_for_join(cpu::Core& core, VirtAddr start, VirtAddr end,
                              std::optional<Holding>& mutex) {
  const bool many = locks_ != nullptr && locks_->on();
  for (bool ready = false;;) {
    const std::uint64_t before = many ? locks_->interleaver().changes() : 0;
    if (!ready && needs_split(core, start, end)) {
      table_source_->prepare_split(core);
      ready = true;
    }
    mutex.emplace(locks_, split_mutex_, core);
    const bool alone = !many || locks_->interleaver().changes() == before;
    if (ready || alone || !needs_split(core, start, end)) return ready;
    mutex.reset();
  }
}

void LinearMap::change_and_join(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end,
                                const Change& change) {
  std::optional<Holding> mutex;
  const bool splits = lock_for_join(core, start, end, mutex);
  if (splits) split_ends(core, start, end);
  write_leaves(core, start, end, change);
  if (!becomes_valid(change)) flush_.kernel_range(core, site, start, end);
  if (splits) table_source_->finish_split(core);
  join(core, site, start, end);
}

// Around a range that has changed, from small to large.
void LinearMap::join(cpu::Core& core, FlushSite site, VirtAddr start, VirtAddr end) {
  for (unsigned level = mmu::kLastLevel; level >= 1; --level) {
    const std::uint64_t size = 1ull << mmu::level_shift(level);
    const std::uint64_t run = size * kContiguousEntries;
    if (level != mmu::kLastLevel) {
      for (VirtAddr va(align_down(start.value, size)); va < end; va += size) {
        join_table(core, site, va, level);
      }
    }
    if (level == 1) return;  // no runs of 16 GB
    // Of memory that begins or ends inside a run there is no such run.
    const VirtAddr first(std::max(align_down(start.value, run), align_up(start_.value, run)));
    const VirtAddr last(std::min(align_up(end.value, run), align_down(end_.value, run)));
    for (VirtAddr va = first; va < last; va += run) {
      bool joined = false;
      {
        const LazySection lazy(tables_, core, Target());
        joined = join_run(core, va, level);
      }
      if (joined) flush_.kernel_range(core, site, va, va + run);
    }
  }
}

}  // namespace kpksim::kernel
