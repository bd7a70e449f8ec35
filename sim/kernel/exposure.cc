#include "sim/kernel/exposure.h"

#include <algorithm>
#include <utility>

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

// In turns times may go back a little between cores: a change acts from the place in the order on
// at which it was made.
ByteMillicycles Exposure::Cell::at(std::uint64_t time) const {
  const auto whole = static_cast<ByteMillicycles>(tables);
  return time >= since ? integral + whole * (time - since) : integral - whole * (since - time);
}

void Exposure::count(const Table& table, std::uint64_t n) {
  for (Cell* cell : {&all_[table.attributes], &by_owner_[table.owner][table.attributes]}) {
    if (machine_.interleaved()) cell->change(time());
    cell->tables += n;
  }
}

void Exposure::uncount(const Table& table) {
  const auto counts = by_owner_.find(table.owner);
  Cell& own = counts->second[table.attributes];
  for (Cell* cell : {&all_[table.attributes], &own}) {
    if (machine_.interleaved()) cell->change(time());
    --cell->tables;
  }
  if (own.tables != 0) return;
  if (machine_.interleaved()) {  // cores that run it still have to add up what there was
    const bool empty = std::all_of(counts->second.begin(), counts->second.end(),
                                   [](const auto& c) { return c.second.tables == 0; });
    if (empty && table.owner != 0) by_owner_.erase(counts);
    return;
  }
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
  if (machine_.interleaved()) {
    running_ = core;
    return;
  }
  if (std::find(unsettled_.begin(), unsettled_.end(), running_) == unsettled_.end())
    unsettled_.push_back(running_);
  running_ = core;
}

void Exposure::switch_to(unsigned core, Pfn root) {
  settle(core);
  CoreState& state = cores_[core];
  state.owner = root == linear_map_.root() ? 0 : owners_.at(root);
  if (!machine_.interleaved()) return;
  state.owns.clear();
  if (state.owner == 0) return;
  for (const auto& [attributes, cell] : of(state.owner)) {
    state.owns[attributes] = cell.at(state.time);
  }
}

bool Exposure::writable(const cpu::Core& core, std::uint64_t raw,
                        const mmu::WindowRegisters& window) const {
  return raw != 0 && core.mmu().would_allow({raw}, kStore, window);
}

std::uint64_t Exposure::writable_now(const cpu::Core& core) const {
  const mmu::Registers& regs = core.mmu().registers();
  const mmu::WindowRegisters now{regs.por_el1, mmu::cr0::kWp.get(regs.cr0) != 0};
  std::uint64_t tables = 0;
  for (const auto& [attributes, cell] : all_) {
    if (cell.tables != 0 && writable(core, attributes.raw, now)) tables += cell.tables;
  }
  return tables * kPageSize;
}

void Exposure::add_up(const cpu::Core& core, OwnerId own, const mmu::WindowRegisters& window,
                      bool open, std::uint64_t millicycles) {
  if (millicycles == 0) return;
  const auto add = [&](const Counts& counts, TableOwner owner, bool less) {
    for (const auto& [attributes, cell] : counts) {
      const std::uint64_t tables = cell.tables;
      if (tables == 0 || !writable(core, attributes.raw, window)) continue;
      const auto amount = static_cast<ByteMillicycles>(tables * kPageSize) * millicycles;
      auto& sums = open || attributes.shown ? sums_.in_windows : sums_.at_rest;
      auto& sum = sums[static_cast<std::size_t>(owner)];
      sum = less ? sum - amount : sum + amount;
    }
  };
  static const Counts kNothing;
  const Counts& owns = own == 0 ? kNothing : of(own);
  add(owns, TableOwner::kOwn, false);
  add(of(0), TableOwner::kKernel, false);
  // What is left of all.
  add(all_, TableOwner::kOther, false);
  add(owns, TableOwner::kOther, true);
  add(of(0), TableOwner::kOther, true);
}

const Exposure::Counts& Exposure::of(OwnerId owner) const {
  static const Counts kNothing;
  const auto it = by_owner_.find(owner);
  return it == by_owner_.end() ? kNothing : it->second;
}

// The core has waited for a part of the time, in which it could do nothing.
void Exposure::add_up_shared(cpu::Core& core, CoreState& state, const cpu::Core::Elapsed& now) {
  const std::uint64_t time = core.time();
  const std::uint64_t rest = now.rest - state.seen.rest, open = now.open - state.seen.open;
  ExposureAmounts amounts;
  const auto add = [&](const Counts& counts, Integrals& before, TableOwner owner) {
    const auto who = static_cast<std::size_t>(owner);
    for (const auto& [attributes, cell] : counts) {
      const ByteMillicycles until = cell.at(time);
      const ByteMillicycles passed = until - std::exchange(before[attributes], until);
      // A change that was made a little earlier than where another core has counted already.
      if (static_cast<std::int64_t>(passed >> 64) < 0 || time <= state.time) continue;
      const auto part = [&](std::uint64_t length) {
        return passed * length / (time - state.time) * kPageSize;
      };
      if (rest != 0 && writable(core, attributes.raw, core.at_rest())) {
        (attributes.shown ? amounts.in_windows : amounts.at_rest)[who] += part(rest);
      }
      if (open != 0 && writable(core, attributes.raw, core.in_window())) {
        amounts.in_windows[who] += part(open);
      }
    }
  };
  add(all_, state.all, TableOwner::kOther);
  add(of(0), state.kernel, TableOwner::kKernel);
  if (state.owner != 0) add(of(state.owner), state.owns, TableOwner::kOwn);
  // What is left of all.
  for (auto* sums : {&amounts.at_rest, &amounts.in_windows}) {
    ByteMillicycles& other = (*sums)[static_cast<std::size_t>(TableOwner::kOther)];
    other -= std::min(other, (*sums)[0] + (*sums)[1]);
  }
  for (std::size_t i = 0; i < kTableOwners; ++i) {
    sums_.at_rest[i] += amounts.at_rest[i];
    sums_.in_windows[i] += amounts.in_windows[i];
  }
  series_.add(core.id(), state.time, time, amounts);
  state.time = time;
}

void Exposure::begin_series() {
  std::uint64_t first = ~0ull;
  for (unsigned c = 0; c < cores_.size(); ++c) {
    settle(c);
    first = std::min(first, machine_.core(c).time());
  }
  series_.begin(first, cores_.size());
}

void Exposure::settle(unsigned id) {
  cpu::Core& core = machine_.core(id);
  CoreState& state = cores_[id];
  const cpu::Core::Elapsed now = core.elapsed();
  if (machine_.interleaved()) {
    add_up_shared(core, state, now);
    state.seen = now;
    return;
  }
  add_up(core, state.owner, core.at_rest(), false, now.rest - state.seen.rest);
  add_up(core, state.owner, core.in_window(), true, now.open - state.seen.open);
  state.seen = now;
}

void Exposure::settle() {
  if (machine_.interleaved()) return settle(running_);
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
