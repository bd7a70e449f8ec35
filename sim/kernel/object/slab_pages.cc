#include "sim/kernel/object/slab_pages.h"

#include "sim/base/error.h"
#include "sim/kernel/cause.h"

namespace kpksim::kernel {

Pfn OrdinaryPages::take(cpu::Core&) {
  const auto pfn = buddy_.allocate(0, Mobility::kUnmovable);
  if (!pfn) throw InputError("out of memory: no page for a slab (give the machine more --memory)");
  return *pfn;
}

void OrdinaryPages::give_back(cpu::Core&, Pfn pfn) { buddy_.free(pfn, 0); }

Pfn SinglePages::take(cpu::Core& core) {
  const Pfn pfn = ordinary_.take(core);
  const Because keying(core, Cause::kKeying);
  map_.set_memory_pkey(core, pfn, 1, key_);
  return pfn;
}

void SinglePages::give_back(cpu::Core& core, Pfn pfn) {
  const Because keying(core, Cause::kKeying);
  map_.set_memory_pkey(core, pfn, 1, kPkeyDefault);
  ordinary_.give_back(core, pfn);
}

std::uint64_t PooledPages::shrink(cpu::Core& core) {
  return shrinker_.shrink(share_.shrinkable(),
                          [&](std::uint64_t count) { return share_.scan(core, count); });
}

void PooledPages::mark_run(cpu::Core& core, Pfn first, std::uint64_t count) {
  map_.set_memory_pkey(core, first, count, key_);
}

void PooledPages::unmark_run(cpu::Core& core, Pfn first, std::uint64_t count) {
  map_.set_memory_pkey(core, first, count, kPkeyDefault);
}

}  // namespace kpksim::kernel
