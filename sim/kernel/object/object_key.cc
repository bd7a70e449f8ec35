#include "sim/kernel/object/object_key.h"

#include <fmt/core.h>

namespace kpksim::kernel {
std::uint64_t ObjectKey::load(cpu::Core& core, PhysAddr word) {
  const cpu::LoadResult result = core.load64(linear_va(word));
  if (!result.fault) return result.value;
  throw KernelOops(fmt::format("load of an object at {:#x} refused", word.value), result.fault);
}

void ObjectKey::Section::store(PhysAddr word, std::uint64_t value) {
  const mmu::Fault fault = core_.store64(linear_va(word), value);
  page_ = frame_of(word);
  if (fault)
    throw KernelOops(fmt::format("store to an object at {:#x} refused", word.value), fault);
}

ObjectKey::Before ObjectKey::enter(cpu::Core& core) {
  if (!keyed()) return of_ != nullptr ? of_->enter(core) : 0;
  ++sections_;
  const std::uint64_t written = core.happened(cpu::Event::kMsrPor);
  Before before;
  if (of_ != nullptr) {
    before = of_->enter(core);
  } else if (!taps_.injector.skips(FaultSite::kOpenCred)) {
    before = protection_->enter(core, *key_);
  }
  switches_ += core.happened(cpu::Event::kMsrPor) - written;
  return before;
}

// The instructions come last: with interrupts off in the kernel, none finds an object half changed.
void ObjectKey::leave(cpu::Core& core, const Before& before, std::optional<Pfn> page) {
  if (!keyed()) {
    if (of_ != nullptr) of_->leave(core, *before);
    return;
  }
  const std::uint64_t written = core.happened(cpu::Event::kMsrPor);
  put_back(core, before);
  switches_ += core.happened(cpu::Event::kMsrPor) - written;
  if (page && taps_.observer != nullptr) taps_.observer->object_stored(core, *page);
  core.execute_guard(guard_);
}

void ObjectKey::put_back(cpu::Core& core, const Before& before) {
  if (!before) return;
  if (of_ != nullptr) return of_->leave(core, *before);
  taps_.injector.at(
      core, FaultSite::kCloseCred,
      [protection = protection_, was = *before](cpu::Core& on) { protection->leave(on, was); });
}

}  // namespace kpksim::kernel
