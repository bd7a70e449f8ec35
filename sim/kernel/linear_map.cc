#include "sim/kernel/linear_map.h"

#include <memory>

#include "sim/base/error.h"
#include "sim/kernel/boot_tables.h"
#include "sim/kernel/prot.h"
#include "sim/kernel/span.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {

using mmu::Descriptor;

namespace {

constexpr std::uint64_t kRange = 1ull << (kPmdShift - kPageShift);  // of early tables, in pages

}  // namespace

std::uint64_t LinearMap::boot_pages(Granularity granularity, EarlyTables early,
                                    std::uint64_t pages) {
  if (granularity == Granularity::kBlock) return 1;
  const std::uint64_t tables = BootTables::count(pages);
  if (early == EarlyTables::kPages) return tables;
  return kRange + align_up(tables - 1, kRange);
}

void LinearMap::build(mmu::PhysicalMemory& memory, Buddy& buddy) {
  root_ = buddy.first();  // swapper_pg_dir: read-only after boot, never keyed
  start_ = linear_va(address_of(buddy.first()));
  end_ = linear_va(address_of(buddy.first() + buddy.size()));
  if (granularity_ == Granularity::kBlock) return build_blocks(memory, buddy);
  if (early_ == EarlyTables::kRanges) {
    root_ += kRange - 1;
    buddy.free_range(buddy.first(), kRange - 1);
  }
  boot_range_ = root_ + 1;
  boot_pages_ = BootTables::count(buddy.size()) - 1;
  memory.set_first_contents(root_, boot_pages_ + 1,
                            std::make_unique<BootTables>(buddy.first(), buddy.size(), root_,
                                                         granularity_ == Granularity::kContPte));
}

// One range has more pages than the largest memory has tables; single pages are the lowest ones,
// one after the other.
void LinearMap::build_blocks(mmu::PhysicalMemory& memory, Buddy& buddy) {
  const auto next_table = [&] {
    const bool range = early_ == EarlyTables::kRanges;
    if (boot_pages_ == 0 || !range) {
      const auto run = buddy.allocate(range ? kPmdShift - kPageShift : 0, Mobility::kUnmovable);
      if (!run) throw InputError("memory is too small for its own linear map");
      if (boot_pages_ == 0) boot_range_ = *run;
    }
    return boot_range_ + boot_pages_++;
  };
  const PhysAddr start = address_of(buddy.first());
  const PhysAddr end = start + buddy.size() * kPageSize;
  for (PhysAddr pa = start; pa < end;) {
    const VirtAddr va = linear_va(pa);
    Pfn table = root_;
    for (unsigned level = 0;; ++level) {
      const std::uint64_t size = 1ull << mmu::level_shift(level);
      const PhysAddr entry = entry_of(table, va, level);
      const bool block = level >= 1 && is_aligned(pa.value, size) && pa + size <= end;
      if (level == mmu::kLastLevel || block) {
        const std::uint64_t run = size * kContiguousEntries;
        const PhysAddr run_start(align_down(pa.value, run));
        const bool whole_run =
            rules_ == Rules::kArm64 && level >= 2 && run_start >= start && run_start + run <= end;
        memory.write64(entry, linear_leaf(pa, level, whole_run).raw);
        pa += size;
        break;
      }
      Descriptor next{memory.read64(entry)};
      if (!next.valid()) {
        next = table_descriptor(next_table());
        memory.write64(entry, next.raw);
      }
      table = next.pfn();
    }
  }
}

LinearMap::Entry LinearMap::leaf_of(cpu::Core& core, VirtAddr va) const {
  Pfn table = root_;
  for (unsigned level = 0;; ++level) {
    const PhysAddr address = entry_of(table, va, level);
    const Descriptor d{tables_.read(core, address)};
    if (d.raw == 0) throw ModelError("hole in the linear map");
    // set_memory_valid() may have made a page invalid, never a block.
    if (level == mmu::kLastLevel || d.block()) return {address, d, level};
    table = d.pfn();
  }
}

void LinearMap::split_block(cpu::Core& core, const Entry& block, Pfn table, bool contiguous) {
  const Span span(tables_.taps(), core, Work::kSplitBlock);
  if (collapse_) split_tables_.insert(table);
  if (observer_ != nullptr) observer_->split(table);
  if (Observer* const watching = tables_.taps().observer) watching->table_taken(core, table, root_);
  const unsigned level = block.level + 1;
  const std::uint64_t size = 1ull << mmu::level_shift(level);
  for (unsigned i = 0; i < kEntriesPerTable; ++i) {
    Descriptor d = linear_leaf(block.descriptor.output() + i * size, level, contiguous);
    d.raw = (d.raw & ~kSplitAttributes) | (block.descriptor.raw & kSplitAttributes);
    tables_.update(core, address_of(table) + i * 8, d);
  }
  tables_.taps().injector.at(core, FaultSite::kDsbSplitBlock,
                             [](cpu::Core& on) { on.dsb_ishst(); });
  tables_.set_table(core, block.address, table_descriptor(table), block.level);
}

void LinearMap::clear_contiguous(cpu::Core& core, const Entry& entry) {
  const Span span(tables_.taps(), core, Work::kSplitRun);
  const PhysAddr first(align_down(entry.address.value, kContiguousEntries * 8));
  for (unsigned i = 0; i < kContiguousEntries; ++i) {
    const Descriptor d{tables_.read(core, first + i * 8)};
    tables_.set_pte(core, first + i * 8, d.with(mmu::field::kContiguous, 0), true);
  }
}

// Is `va` where a leaf, or a run of contiguous ones, begins?
bool LinearMap::is_boundary(cpu::Core& core, VirtAddr va) const {
  if (va == end_) return true;
  const Entry leaf = leaf_of(core, va);
  const std::uint64_t entries = leaf.descriptor.contiguous() ? kContiguousEntries : 1;
  return is_aligned(va.value, entries << mmu::level_shift(leaf.level));
}

// split_kernel_leaf_mapping() for one end of a range: makes `boundary` a boundary of leaves.
void LinearMap::split_at(cpu::Core& core, VirtAddr boundary) {
  if (is_aligned(boundary.value, kPudSize)) return;
  Entry leaf = leaf_of(core, boundary);
  if (leaf.level == 1) {
    split_block(core, leaf, table_source_->allocate_for_split(core), true);
    ++statistics_.split_pud;
    leaf = leaf_of(core, boundary);
  }
  const auto split_run = [&](unsigned level, std::uint64_t& counter) {
    const std::uint64_t run = kContiguousEntries << mmu::level_shift(level);
    if (leaf.level != level || is_aligned(boundary.value, run) || !leaf.descriptor.contiguous())
      return;
    clear_contiguous(core, leaf);
    ++counter;
  };
  split_run(2, statistics_.split_contpmd);
  if (is_aligned(boundary.value, kPmdSize)) return;
  if (leaf.level == 2) {
    leaf = leaf_of(core, boundary);
    split_block(core, leaf, table_source_->allocate_for_split(core), true);
    ++statistics_.split_pmd;
    leaf = leaf_of(core, boundary);
  }
  split_run(3, statistics_.split_contpte);
}

bool LinearMap::needs_split(cpu::Core& core, VirtAddr start, VirtAddr end) const {
  return granularity_ != Granularity::kPte && !(is_boundary(core, start) && is_boundary(core, end));
}

void LinearMap::split_ends(cpu::Core& core, VirtAddr start, VirtAddr end) {
  const LazySection lazy(tables_, core, Target());
  split_at(core, start);
  if (end < end_) split_at(core, end);
}

// Splits what the range covers in part, then rewrites its leaves.
LinearMap::Done LinearMap::change_leaves(cpu::Core& core, VirtAddr start, VirtAddr end,
                                         const Change& change) {
  const bool splits = needs_split(core, start, end);
  if (splits) {
    table_source_->prepare_split(core);
    const Holding mutex(locks_, split_mutex_, core);
    split_ends(core, start, end);
  }
  write_leaves(core, start, end, change);
  return {splits, true};
}

void LinearMap::write_leaves(cpu::Core& core, VirtAddr start, VirtAddr end, const Change& change) {
  const LazySection lazy(tables_, core, Target());
  for (VirtAddr va = start; va < end;) {
    const Entry leaf = leaf_of(core, va);
    tables_.set_pte(core, leaf.address, applied(change, leaf.descriptor), true);
    va += 1ull << mmu::level_shift(leaf.level);
  }
}

void LinearMap::change_range(cpu::Core& core, FlushSite site, Pfn first, std::uint64_t count,
                             const Change& change) {
  core.execute(instructions_);
  const VirtAddr start = linear_va(address_of(first));
  const VirtAddr end = start + count * kPageSize;
  if (collapse_) {
    change_and_join(core, site, start, end, change);
    return rights_changed(first, count);
  }
  const Done done = rules_ == Rules::kX86 ? cpa(core, site, start, end, change)
                                          : change_leaves(core, start, end, change);
  if (done.changed && !becomes_valid(change)) {
    if (rules_ == Rules::kX86) {
      flush_.linear_range(core, site, start, end);
    } else {
      flush_.kernel_range(core, site, start, end);
    }
  }
  if (done.split) table_source_->finish_split(core);
  rights_changed(first, count);
}

void LinearMap::set_memory_pkey(cpu::Core& core, Pfn first, std::uint64_t count, PkeyIndex key) {
  ++statistics_.set_memory_pkey;
  statistics_.pages += count;
  const Span span(tables_.taps(), core, Work::kSetMemoryPkey);
  change_range(core, FlushSite::kSetMemoryPkey, first, count,
               {kIndexBits, poe::overlay_index_bits(key.value)});
}

void LinearMap::set_memory(cpu::Core& core, Pfn first, std::uint64_t count, const Change& change) {
  ++statistics_.set_memory;
  const Span span(tables_.taps(), core, Work::kSetMemory);
  change_range(core, FlushSite::kSetMemory, first, count, change);
}

// Its own tables come from the page allocator, as memblock is gone by then. From here on the map is
// one of pages: split_kernel_leaf_mapping() does not look for boundaries any more.
void LinearMap::repaint(cpu::Core& core, Buddy& buddy) {
  const auto table = [&] {
    const auto page = buddy.allocate(0, Mobility::kUnmovable);
    if (!page) throw InputError("memory is too small for its own linear map");
    repaint_tables_.push_back(*page);
    return *page;
  };
  {
    const LazySection lazy(tables_, core, Target());
    for (VirtAddr va = start_; va < end_;) {
      const Entry leaf = leaf_of(core, va);
      if (leaf.level != mmu::kLastLevel) {
        split_block(core, leaf, table(), false);
        ++(leaf.level == 1 ? statistics_.split_pud : statistics_.split_pmd);
        continue;  // what it was split into
      }
      if (leaf.descriptor.contiguous()) {
        clear_contiguous(core, leaf);
        ++statistics_.split_contpte;
      }
      va += kPageSize;
    }
  }
  flush_.kernel_range(core, FlushSite::kSetMemory, start_, end_);
  granularity_ = Granularity::kPte;
}

std::vector<std::pair<Pfn, std::uint64_t>> LinearMap::boot_tables() const {
  const std::uint64_t size = early_ == EarlyTables::kRanges ? kRange : 1;
  std::vector<std::pair<Pfn, std::uint64_t>> tables;
  for (const Pfn table : repaint_tables_) tables.emplace_back(table, 1);
  for (std::uint64_t i = 0; i < boot_pages_; i += size) tables.emplace_back(boot_range_ + i, size);
  return tables;
}

std::uint64_t LinearMap::boot_rest() const {
  return early_ == EarlyTables::kPages ? 0 : align_up(boot_pages_, kRange) - boot_pages_;
}

mmu::Descriptor LinearMap::leaf(const mmu::PhysicalMemory& memory, Pfn pfn) const {
  const VirtAddr va = linear_va(address_of(pfn));
  Pfn table = root_;
  for (unsigned level = 0;; ++level) {
    const Descriptor d{memory.read64(entry_of(table, va, level))};
    if (!d.valid() || level == mmu::kLastLevel || d.block()) return d;
    table = d.pfn();
  }
}

}  // namespace kpksim::kernel
