#include "sim/kernel/exposure.h"

#include <algorithm>

#include "sim/mmu/stage2.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {
namespace {

// What says who may write: neither where a page lies, nor how large its mapping is, nor whether it
// was used.
constexpr std::uint64_t kNoRights = mmu::field::kOutputAddress.mask() |
                                    mmu::field::kContiguous.mask() |
                                    mmu::field::kAccessFlag.mask() | mmu::field::kTable.mask();

constexpr poe::Access kStore{poe::AccessKind::kWrite, 1, false};

void add(cpu::Windows& sum, const cpu::Windows& more) {
  sum.count += more.count;
  sum.stores += more.stores;
  sum.millicycles += more.millicycles;
  sum.most_stores = std::max(sum.most_stores, more.most_stores);
  sum.most_millicycles = std::max(sum.most_millicycles, more.most_millicycles);
}

}  // namespace

ExposureSums exposure_since(const ExposureSums& before, const ExposureSums& now) {
  ExposureSums d = now;
  for (std::size_t i = 0; i < kTableOwners; ++i) {
    d.at_rest[i] -= before.at_rest[i];
    d.in_windows[i] -= before.in_windows[i];
  }
  d.windows.count -= before.windows.count;
  d.windows.stores -= before.windows.stores;
  d.windows.millicycles -= before.windows.millicycles;
  return d;
}

void append_exposure(ExposureSums& sum, const ExposureSums& next) {
  for (std::size_t i = 0; i < kTableOwners; ++i) {
    sum.at_rest[i] += next.at_rest[i];
    sum.in_windows[i] += next.in_windows[i];
  }
  add(sum.windows, next.windows);
}

Exposure::Exposure(cpu::Machine& machine, const LinearMap& linear_map)
    : machine_(machine), linear_map_(linear_map), cores_(machine.core_count()) {}

std::uint64_t Exposure::attributes_of(Pfn table) const {
  const mmu::Descriptor d = linear_map_.leaf(machine_.memory(), table);
  const PhysAddr pa = address_of(table);
  mmu::Leaf leaf;
  leaf.descriptor = d;
  const mmu::Mmu& mmu = machine_.core(running_).mmu();
  if (!d.valid() || mmu.would_refuse_tag(linear_va(pa), pa, leaf)) return 0;
  if (mmu.stage2() != nullptr) {
    const mmu::Stage2Result frame = mmu::walk_stage2(
        machine_.memory(), mmu::decode_stage2(mmu.registers()), pa, [](const mmu::Stage2Step&) {});
    if ((frame.rights & poe::kMayWrite) == 0) return 0;
  }
  return d.raw & ~kNoRights;
}

void Exposure::count(const Table& table, std::uint64_t n) {
  all_[table.attributes] += n;
  by_owner_[table.owner][table.attributes] += n;
}

void Exposure::uncount(const Table& table) {
  --all_[table.attributes];
  const auto counts = by_owner_.find(table.owner);
  if (--counts->second[table.attributes] != 0) return;
  counts->second.erase(table.attributes);
  if (counts->second.empty()) by_owner_.erase(counts);
}

void Exposure::add(Pfn table, Pfn root) {
  settle();
  if (table == root) owners_[root] = ++last_owner_;
  const OwnerId owner = root == linear_map_.root() ? 0 : owners_.at(root);
  const Table added{owner, {attributes_of(table), false}};
  count(added, 1);
  tables_[table] = added;
}

void Exposure::add_boot_tables(Pfn first, std::uint64_t count_of) {
  count({0, {attributes_of(first), false}}, count_of);
}

void Exposure::add_swapper() {
  const std::uint64_t raw = attributes_of(linear_map_.root());
  count({0, {(raw & ~kSetMemoryRo.clear) | kSetMemoryRo.set, false}}, 1);
}

void Exposure::remove(Pfn table) {
  const auto it = tables_.find(table);
  if (it == tables_.end()) return;
  settle();
  uncount(it->second);
  tables_.erase(it);
}

void Exposure::changed(Pfn first, std::uint64_t count_of) {
  for (std::uint64_t i = 0; i < count_of; ++i) {
    const auto it = tables_.find(first + i);
    if (it == tables_.end()) continue;
    settle();
    Table& table = it->second;
    const cpu::Core& core = machine_.core(running_);
    const mmu::WindowRegisters rest = core.at_rest();
    const std::uint64_t now = attributes_of(first + i);
    const bool was = writable(core, table.attributes.raw, rest), is = writable(core, now, rest);
    const cpu::Core::Elapsed elapsed = core.elapsed();
    if (was && !is && table.attributes.shown) {
      const std::uint64_t stores = core.happened(cpu::Event::kStore) - table.stores;
      const std::uint64_t length = elapsed.rest + elapsed.open - table.since;
      kernel::add(sums_.windows, {1, stores, length, stores, length});
    }
    uncount(table);
    table.attributes = {now, is && (!was || table.attributes.shown)};
    table.since = elapsed.rest + elapsed.open;
    table.stores = core.happened(cpu::Event::kStore);
    count(table, 1);
  }
}

void Exposure::stays(Pfn table) {
  const auto it = tables_.find(table);
  if (it == tables_.end()) return;
  settle();
  uncount(it->second);
  it->second.attributes = {attributes_of(table), false};
  count(it->second, 1);
}

void Exposure::runs(unsigned core) {
  if (core == running_) return;
  if (std::find(unsettled_.begin(), unsettled_.end(), running_) == unsettled_.end())
    unsettled_.push_back(running_);
  running_ = core;
}

void Exposure::switch_to(unsigned core, Pfn root) {
  settle(core);
  cores_[core].owner = root == linear_map_.root() ? 0 : owners_.at(root);
}

bool Exposure::writable(const cpu::Core& core, std::uint64_t raw,
                        const mmu::WindowRegisters& window) const {
  return raw != 0 && core.mmu().would_allow({raw}, kStore, window);
}

void Exposure::add_up(const cpu::Core& core, OwnerId own, const mmu::WindowRegisters& window,
                      bool open, std::uint64_t millicycles) {
  if (millicycles == 0) return;
  const auto add = [&](const Counts& counts, TableOwner owner, bool less) {
    for (const auto& [attributes, tables] : counts) {
      if (tables == 0 || !writable(core, attributes.raw, window)) continue;
      const auto amount = static_cast<ByteMillicycles>(tables * kPageSize) * millicycles;
      auto& sums = open || attributes.shown ? sums_.in_windows : sums_.at_rest;
      auto& sum = sums[static_cast<std::size_t>(owner)];
      sum = less ? sum - amount : sum + amount;
    }
  };
  static const Counts kNothing;
  const auto of = [&](OwnerId owner) -> const Counts& {
    const auto it = by_owner_.find(owner);
    return it == by_owner_.end() ? kNothing : it->second;
  };
  const Counts& owns = own == 0 ? kNothing : of(own);
  add(owns, TableOwner::kOwn, false);
  add(of(0), TableOwner::kKernel, false);
  // What is left of all.
  add(all_, TableOwner::kOther, false);
  add(owns, TableOwner::kOther, true);
  add(of(0), TableOwner::kOther, true);
}

void Exposure::settle(unsigned id) {
  const cpu::Core& core = machine_.core(id);
  CoreState& state = cores_[id];
  const cpu::Core::Elapsed now = core.elapsed();
  add_up(core, state.owner, core.at_rest(), false, now.rest - state.seen.rest);
  add_up(core, state.owner, core.in_window(), true, now.open - state.seen.open);
  state.seen = now;
}

void Exposure::settle() {
  for (const unsigned core : unsettled_) settle(core);
  unsettled_.clear();
  settle(running_);
}

ExposureSums Exposure::sums() {
  for (unsigned c = 0; c < cores_.size(); ++c) settle(c);
  unsettled_.clear();
  ExposureSums sums = sums_;
  for (std::size_t c = 0; c < cores_.size(); ++c) {
    kernel::add(sums.windows, machine_.core(c).windows());
  }
  return sums;
}

void Exposure::forget_largest() {
  sums_.windows.most_stores = sums_.windows.most_millicycles = 0;
  for (std::size_t c = 0; c < cores_.size(); ++c) machine_.core(c).forget_largest_window();
}

}  // namespace kpksim::kernel
