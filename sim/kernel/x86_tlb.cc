#include "sim/kernel/x86_tlb.h"

#include <algorithm>
#include <utility>

namespace kpksim::kernel {

using mmu::Domain;
using mmu::TlbiKind;

namespace {

constexpr unsigned kPcids = 1u << 12;

PhysAddr tables_of(std::uint64_t ttbr) { return PhysAddr(ttbr & mmu::ttbr::kBaddr.mask()); }

}  // namespace

X86Tlb::X86Tlb(unsigned cores, bool broadcasts, Injector& injector, const CrossCalls& calls)
    : cores_(cores), broadcasts_(broadcasts), injector_(injector), calls_(calls), pending_(cores) {
  init_.context = kInitContext;
  for (PerCore& on : cores_) {
    on.loaded = &init_;
    on.slots[0].context = kInitContext;
  }
}

Asid X86Tlb::loaded_pcid(const PerCore& on) const {
  return on.slot == kSlots ? on.loaded->global_pcid : pcid_of(on.slot);
}

// load_new_mm_cr3(), and what cpu_tlbstate says of it.
void X86Tlb::load(cpu::Core& core, AddressSpace& space, PhysAddr root, unsigned slot, bool flush) {
  PerCore& on = cores_[core.id()];
  if (flush) on.slots[slot] = {space.context, space.tlb_generation};
  on.loaded = &space;
  on.context = space.context;
  on.slot = slot;
  core.mov_to_cr3(root, loaded_pcid(on),
                  !flush || injector_.skips(tlbi_of(FlushSite::kPcidSwitch)));
}

// choose_new_asid(). Global PCIDs are up to date on every core.
void X86Tlb::load_new(cpu::Core& core, AddressSpace& space, PhysAddr root) {
  PerCore& on = cores_[core.id()];
  if (space.global_pcid.value != 0) return load(core, space, root, kSlots, false);
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    if (on.slots[slot].context != space.context) continue;
    return load(core, space, root, slot, on.slots[slot].generation < space.tlb_generation);
  }
  const unsigned slot = on.next < kSlots ? on.next : 0;
  on.next = slot + 1;
  load(core, space, root, slot, true);
}

void X86Tlb::switch_mm(cpu::Core& core, AddressSpace& next, Pfn root) {
  PerCore& on = cores_[core.id()];
  const bool was_lazy = std::exchange(on.lazy, false);
  if (next.context == 0) next.context = ++last_context_;
  if (on.context != next.context) return load_new(core, next, address_of(root));
  on.loaded = &next;
  if (needs_global(on)) return load_new(core, next, address_of(root));
  if (!was_lazy || on.slot == kSlots) return;
  if (on.slots[on.slot].generation == next.tlb_generation) return;
  load(core, next, address_of(root), on.slot, true);
}

void X86Tlb::enter_lazy(unsigned core) {
  PerCore& on = cores_[core];
  on.lazy = on.context != kInitContext;
}

void X86Tlb::flush_range(cpu::Core& core, AddressSpace& space, VirtAddr start, VirtAddr end,
                         std::uint64_t stride, bool freed_tables) {
  const VirtAddr from(align_down(start.value, stride));
  const VirtAddr to(align_up(end.value, stride));
  const bool all = (to - from) / stride > kCeiling;
  request(core, {&space, from, to, all ? 0 : stride, freed_tables});
}

// As the macro flush_tlb_mm() has it, whatever may have been freed.
void X86Tlb::flush_mm(cpu::Core& core, AddressSpace& space) {
  request(core, {.space = &space, .freed_tables = true});
}

void X86Tlb::request(cpu::Core& core, Request request) {
  AddressSpace& space = *request.space;
  // Left out: there is no new generation either, so that no core catches up with it later.
  if (!left_out_) ++space.tlb_generation;
  request.generation = space.tlb_generation;
  if (space.global_pcid.value != 0) return broadcast(core, request);
  cpu::CoreSet cores;  // mm_cpumask()
  for (unsigned c = 0; c < cores_.size(); ++c) {
    if (has_loaded(c, space)) cores.add(c);
  }
  if (cores.size() == (cores.has(core.id()) ? 1 : 0)) {
    if (cores.size() != 0) catch_up(core, request, true);
    return;
  }
  cpu::CoreSet interrupted;  // should_flush_tlb()
  cores.for_each([&](unsigned c) {
    if (request.freed_tables || !cores_[c].lazy) interrupted.add(c);
  });
  on_each(core, interrupted, [&](cpu::Core& on) { catch_up(on, request, on.id() == core.id()); });
  if (broadcasts_) consider_global(space);
}

// flush_tlb_func()
void X86Tlb::catch_up(cpu::Core& on, const Request& request, bool local) {
  PerCore& state = cores_[on.id()];
  if (left_out_) return;
  if (!local && request.space != nullptr && !has_loaded(on.id(), *request.space)) return;
  if (state.context == kInitContext) return;
  if (state.lazy) {
    state.lazy = false;
    return load_new(on, init_, tables_of(on.mmu().registers().ttbr1));
  }
  if (needs_global(state)) load_new(on, *state.loaded, tables_of(on.mmu().registers().ttbr0));
  if (state.slot == kSlots) return;
  std::uint64_t& generation = state.slots[state.slot].generation;
  if (request.generation != 0 && request.generation <= generation) return;
  const std::uint64_t newest = state.loaded->tlb_generation;
  if (generation == newest) return;
  const Asid pcid = pcid_of(state.slot);
  // Page by page only if nothing else is missing.
  if (request.stride != 0 && request.generation == generation + 1 && request.generation == newest) {
    for (VirtAddr va = request.start; va < request.end; va += request.stride) {
      on.tlbi({TlbiKind::kVae1, Domain::kLocal}, mmu::encode_va(va, pcid, 0));  // INVLPG
    }
  } else {  // CR3 is written with what it has
    on.tlbi({TlbiKind::kAside1, Domain::kLocal}, mmu::encode_va(VirtAddr(0), pcid, 0));
  }
  generation = newest;
}

void X86Tlb::add_pending(const cpu::Core& core, AddressSpace& space) {
  if (!left_out_) ++space.tlb_generation;
  for (unsigned c = 0; c < cores_.size(); ++c) {
    if (has_loaded(c, space)) pending_[core.id()].add(c);
  }
}

void X86Tlb::flush_pending(cpu::Core& core) {
  const cpu::CoreSet cores = std::exchange(pending_[core.id()], {});
  if (broadcasts_) {
    if (!left_out_) core.invlpgb(TlbiKind::kVmalle1, {mmu::all_but_global()});
    return core.tlbsync();
  }
  cpu::CoreSet interrupted;
  cores.for_each([&](unsigned c) {
    if (!cores_[c].lazy) interrupted.add(c);
  });
  on_each(core, interrupted, [&](cpu::Core& on) { catch_up(on, {}, on.id() == core.id()); });
}

template <class Execute>
void X86Tlb::on_each(cpu::Core& core, const cpu::CoreSet& cores, Execute&& execute) const {
  if (cores.has(core.id())) execute(core);
  calls_.on_others(core, cores, CrossCalls::Sent::kTogether, execute);
}

cpu::CoreSet X86Tlb::all_cores() const {
  cpu::CoreSet all;
  for (unsigned c = 0; c < cores_.size(); ++c) all.add(c);
  return all;
}

void X86Tlb::flush_all(cpu::Core& core) {
  if (broadcasts_) {
    if (!left_out_) core.invlpgb(TlbiKind::kVmalle1, {mmu::decode(TlbiKind::kVmalle1, 0)});
    return core.tlbsync();
  }
  on_each(core, all_cores(), [&](cpu::Core& on) {  // INVPCID of all, global entries too
    if (!left_out_) on.tlbi({TlbiKind::kVmalle1, Domain::kLocal}, 0);
  });
}

// INVLPG also finds the global entries of its address under any PCID.
void X86Tlb::flush_pages(cpu::Core& core, VirtAddr start, VirtAddr end) {
  if ((end - start) >> kPageShift > kCeiling) return flush_all(core);
  on_each(core, all_cores(), [&](cpu::Core& on) {
    if (left_out_) return;
    for (VirtAddr va = start; va < end; va += kPageSize) {
      on.tlbi({TlbiKind::kVaae1, Domain::kLocal}, mmu::encode_va(va, Asid(0), 0));
    }
  });
}

void X86Tlb::flush_kernel_range(cpu::Core& core, VirtAddr start, VirtAddr end) {
  if (!broadcasts_ || (end - start) >> kPageShift > kCeiling) {
    return flush_pages(core, start, end);
  }
  if (!left_out_) {
    broadcast_pages(core, TlbiKind::kVaae1, Asid(0), start, end, kPageSize);
  }
  core.tlbsync();
}

// consider_global_asid() and use_global_asid(). Linux looks at one in 32 of its ticks.
void X86Tlb::consider_global(AddressSpace& space) {
  const auto active = [&](unsigned c) { return has_loaded(c, space) && !cores_[c].lazy; };
  std::size_t n = 0;
  for (unsigned c = 0; c < cores_.size(); ++c) n += active(c) ? 1 : 0;
  if (n <= kActiveCores || kSlots + globals_.size() + 1 >= kPcids) return;
  globals_.push_back(space.context);
  space.global_pcid = pcid_of(kSlots + static_cast<unsigned>(globals_.size()) - 1);
}

void X86Tlb::broadcast_pages(cpu::Core& core, TlbiKind kind, Asid pcid, VirtAddr start,
                             VirtAddr end, std::uint64_t stride) const {
  // One instruction names several addresses a page or 2 MB apart, or one alone.
  const std::uint64_t most = stride <= kPmdSize ? kBroadcastPages : 1;
  for (VirtAddr va = start; va < end;) {
    const std::uint64_t n = std::min((end - va) / stride, most);
    std::vector<mmu::TlbiEffect> effects;
    effects.reserve(n);
    for (std::uint64_t i = 0; i < n; ++i) {
      effects.push_back(mmu::decode(kind, mmu::encode_va(va + i * stride, pcid, 0)));
    }
    core.invlpgb(kind == TlbiKind::kVae1 ? TlbiKind::kRvae1 : TlbiKind::kRvaae1, effects);
    va += n * stride;
  }
}

// broadcast_tlb_flush(). Cores that still have the address space in a slot of their own are
// interrupted, and leave it (finish_asid_transition()).
void X86Tlb::broadcast(cpu::Core& core, const Request& request) {
  const Asid pcid = request.space->global_pcid;
  if (left_out_) return core.tlbsync();
  if (request.stride == 0) {
    core.invlpgb(TlbiKind::kAside1,
                 {mmu::decode(TlbiKind::kAside1, mmu::encode_va(VirtAddr(0), pcid, 0))});
  } else {
    broadcast_pages(core, TlbiKind::kVae1, pcid, request.start, request.end, request.stride);
  }
  cpu::CoreSet behind;
  bool all = true;
  for (unsigned c = 0; c < cores_.size(); ++c) {
    if (!has_loaded(c, *request.space)) continue;
    all = all && cores_[c].slot == kSlots;
    if (request.freed_tables || !cores_[c].lazy) behind.add(c);
  }
  if (!all) {
    on_each(core, behind, [&](cpu::Core& on) { catch_up(on, request, on.id() == core.id()); });
  }
  core.tlbsync();
}

std::uint64_t X86Tlb::context_under(unsigned core, Asid pcid) const {
  if (pcid.value == 0) return 0;
  const unsigned slot = pcid.value - 1u;
  if (slot < kSlots) return cores_[core].slots[slot].context;
  return slot - kSlots < globals_.size() ? globals_[slot - kSlots] : 0;
}

X86Tlb::Use X86Tlb::use_of(unsigned core, Asid pcid, const AddressSpace* owner) const {
  const PerCore& on = cores_[core];
  const unsigned slot = pcid.value - 1u;
  if (slot >= kSlots) return owner != nullptr ? Use::kAll : Use::kNothing;
  const bool loaded = on.slot == slot;
  if (owner == nullptr) return loaded ? Use::kTables : Use::kNothing;
  if (loaded && !on.lazy) return Use::kAll;
  const bool fresh = on.slots[slot].generation == owner->tlb_generation;
  if (fresh && owner->global_pcid.value == 0) return Use::kAll;
  return loaded ? Use::kTables : Use::kNothing;
}

std::optional<Asid> X86Tlb::usable_pcid(unsigned core, const AddressSpace& space) const {
  if (space.context == 0) return std::nullopt;
  if (space.global_pcid.value != 0) return space.global_pcid;
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    if (cores_[core].slots[slot].context != space.context) continue;
    if (use_of(core, pcid_of(slot), &space) == Use::kAll) return pcid_of(slot);
  }
  return std::nullopt;
}

}  // namespace kpksim::kernel
