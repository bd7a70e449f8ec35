#include "sim/kernel/protect/stage2_map.h"

#include <algorithm>
#include <optional>

#include "sim/base/error.h"
#include "sim/kernel/lock.h"
#include "sim/kernel/prot.h"

namespace kpksim::kernel {
namespace {

using mmu::Descriptor;

// VTCR_EL2 of the two sizes of IPA. The smaller one, with which guests start, saves a level: its
// two tables of level 1 lie side by side.
struct Geometry {
  unsigned input_bits, start_level, tables;
  std::uint64_t t0sz, sl0;
};
constexpr Geometry kGeometries[] = {{40, 1, 2, 24, 1}, {48, 0, 1, 16, 2}};
constexpr std::uint64_t kPs48 = 0b101;

const Geometry& geometry_for(PhysAddr end) {
  return end.value >> kGeometries[0].input_bits == 0 ? kGeometries[0] : kGeometries[1];
}

// Pages for tables of all levels, if each page is mapped by itself.
std::uint64_t most_tables(std::uint64_t frames, const Geometry& geometry) {
  std::uint64_t sum = geometry.tables;
  for (unsigned level = mmu::kLastLevel; level > geometry.start_level; --level) {
    frames = (frames + kEntriesPerTable - 1) / kEntriesPerTable + 1;  // memory may start in one
    sum += frames;
  }
  return sum;
}

constexpr std::uint64_t kNormalMemory = 0b1111;  // MemAttr: Normal, write-back

Descriptor leaf(PhysAddr pa, unsigned level) {
  Descriptor d = leaf_descriptor(pa, level).with(mmu::s2_field::kMemAttr, kNormalMemory);
  return d.with(mmu::s2_field::kRead, 1).with(mmu::s2_field::kWrite, 1);
}

}  // namespace

Stage2Map::Stage2Map(mmu::PhysicalMemory& memory, TlbFlush& flush, Pfn first, std::uint64_t count,
                     Pfn tables)
    : memory_(memory),
      flush_(flush),
      end_(address_of(first + count)),
      next_table_(align_up(tables.value, kGeometries[0].tables)),
      tables_end_(next_table_ + most_tables(count, geometry_for(end_))),
      input_bits_(geometry_for(end_).input_bits),
      start_level_(geometry_for(end_).start_level),
      root_(next_table_) {
  for (unsigned i = 0; i < geometry_for(end_).tables; ++i) new_table();
  for (PhysAddr pa = address_of(first); pa < end_;) {
    Pfn table = root_;
    for (unsigned level = start_level_;; ++level) {
      const PhysAddr at = entry(table, pa, level);
      const std::uint64_t size = 1ull << mmu::level_shift(level);
      const bool fits = is_aligned(pa.value, size) && pa + size <= end_;
      if (level == mmu::kLastLevel || (level != 0 && fits)) {
        memory_.write64(at, leaf(pa, level).raw);
        pa += size;
        break;
      }
      Descriptor next{memory_.read64(at)};
      if (!next.valid()) {
        next = table_descriptor(new_table());
        memory_.write64(at, next.raw);
      }
      table = next.pfn();
    }
  }
}

void Stage2Map::set_registers(mmu::Registers& regs) const {
  const Geometry& geometry = geometry_for(end_);
  regs.hcr = mmu::hcr::kVm.set(regs.hcr, 1);
  regs.vtcr = mmu::vtcr::kT0Sz.set(0, geometry.t0sz);
  regs.vtcr = mmu::vtcr::kSl0.set(regs.vtcr, geometry.sl0);
  regs.vtcr = mmu::vtcr::kPs.set(regs.vtcr, kPs48);
  regs.vttbr = address_of(root_).value;
}

Pfn Stage2Map::new_table() {
  if (next_table_ == tables_end_) throw ModelError("the hypervisor's memory is used up");
  const Pfn table = next_table_;
  next_table_ += 1;
  ++statistics_.tables;
  return table;
}

PhysAddr Stage2Map::entry(Pfn table, PhysAddr ipa, unsigned level) const {
  // The tables of the start level are one with more entries.
  const std::uint64_t index = ipa.value >> mmu::level_shift(level);
  return address_of(table) + (level == start_level_ ? index : index % kEntriesPerTable) * 8;
}

// Break before make: whatever else runs faults to the hypervisor meanwhile, and waits.
Pfn Stage2Map::split(cpu::Core& core, PhysAddr at, PhysAddr ipa, unsigned level) {
  const Descriptor block{memory_.read64(at)};
  const Pfn table = new_table();
  const std::uint64_t size = 1ull << mmu::level_shift(level + 1);
  for (unsigned i = 0; i < kEntriesPerTable; ++i) {
    const PhysAddr word = address_of(table) + i * 8;
    const std::uint64_t output = block.output().value + i * size;
    const std::uint64_t page = level + 1 == mmu::kLastLevel ? mmu::field::kTable.mask() : 0;
    memory_.write64(word, mmu::field::kOutputAddress.set(block.raw, output >> kPageShift) | page);
    core.touch_line(word);
  }
  std::optional<cpu::Interleaver::Alone> others_wait;
  if (locks_ != nullptr) others_wait.emplace(locks_->interleaver());
  memory_.write64(at, 0);
  flush_.stage2_page(core, FlushSite::kStage2Split, ipa);
  check_broken(core.machine(), ipa, level);
  memory_.write64(at, table_descriptor(table).raw);
  core.touch_line(at);
  ++statistics_.splits;
  return table;
}

void Stage2Map::check_broken(cpu::Machine& machine, PhysAddr ipa, unsigned level) {
  const std::uint64_t size = 1ull << mmu::level_shift(level);
  const PhysAddr start(align_down(ipa.value, size));
  for (std::size_t c = 0; c < machine.core_count(); ++c) {
    statistics_.bbm_violations += machine.core(c).mmu().count_cached_ipa(start, start + size);
  }
}

std::uint64_t Stage2Map::change(cpu::Core& core, Pfn table, unsigned level, PhysAddr start,
                                PhysAddr end, bool writable, PhysAddr& last) {
  std::uint64_t changed = 0;
  const std::uint64_t size = 1ull << mmu::level_shift(level);
  for (PhysAddr pa = start; pa < end;) {
    const PhysAddr at = entry(table, pa, level);
    const PhysAddr first(align_down(pa.value, size));
    const PhysAddr next = first + size;
    const Descriptor d{memory_.read64(at)};
    core.touch_line(at);
    const bool is_leaf = level == mmu::kLastLevel || d.block();
    const bool whole = pa == first && next <= end;
    const bool same = is_leaf && (mmu::s2_field::kWrite.get(d.raw) != 0) == writable;
    if (is_leaf && whole && !same) {
      memory_.write64(at, d.with(mmu::s2_field::kWrite, writable ? 1 : 0).raw);
      last = pa;
      ++changed;
    } else if (!same) {
      const Pfn below = is_leaf ? split(core, at, pa, level) : d.pfn();
      changed += change(core, below, level + 1, pa, std::min(next, end), writable, last);
    }
    pa = next;
  }
  return changed;
}

void Stage2Map::set_writable(cpu::Core& core, Pfn first, std::uint64_t count, bool writable) {
  PhysAddr last;
  const std::uint64_t changed = change(core, root_, start_level_, address_of(first),
                                       address_of(first + count), writable, last);
  statistics_.changed_leaves += changed;
  if (changed == 1) {
    flush_.stage2_page(core, FlushSite::kStage2Rights, last);
  } else if (changed > 1) {
    flush_.stage2_all(core, FlushSite::kStage2Rights);
  }
}

}  // namespace kpksim::kernel
