#include "sim/kernel/object/slab_pages.h"

#include "sim/base/error.h"
#include "sim/kernel/cause.h"

namespace kpksim::kernel {

void SlabKey::mark(cpu::Core& core, Pfn first, std::uint64_t count) {
  taps_.injector.at(core, FaultSite::kMarkCred, [this, first, count](cpu::Core& on) {
    map_.set_memory_pkey(on, first, count, key_);
    if (taps_.observer != nullptr) taps_.observer->marked(on, first, count);
  });
}

void SlabKey::unmark(cpu::Core& core, Pfn first, std::uint64_t count) {
  if (taps_.observer != nullptr) taps_.observer->unmarking(core, first, count);
  taps_.injector.at(core, FaultSite::kUnmarkCred, [this, first, count](cpu::Core& on) {
    map_.set_memory_pkey(on, first, count, kPkeyDefault);
  });
}

Pfn OrdinaryPages::take(cpu::Core& core) {
  const auto pfn = buddy_.allocate(core, 0, Mobility::kUnmovable);
  if (!pfn) throw InputError("out of memory: no page for a slab (give the machine more --memory)");
  return *pfn;
}

void OrdinaryPages::give_back(cpu::Core& core, Pfn pfn) { buddy_.free(core, pfn, 0); }

Pfn SinglePages::take(cpu::Core& core) {
  const Pfn pfn = ordinary_.take(core);
  const Because keying(core, Cause::kKeying);
  key_.mark(core, pfn, 1);
  return pfn;
}

void SinglePages::give_back(cpu::Core& core, Pfn pfn) {
  const Because keying(core, Cause::kKeying);
  key_.unmark(core, pfn, 1);
  ordinary_.give_back(core, pfn);
}

std::uint64_t PooledPages::shrink(cpu::Core& core) {
  return shrinker_.shrink(share_.shrinkable(),
                          [&](std::uint64_t count) { return share_.scan(core, count); });
}

}  // namespace kpksim::kernel
