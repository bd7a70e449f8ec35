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
  if (fault)
    throw KernelOops(fmt::format("store to an object at {:#x} refused", word.value), fault);
}

std::uint64_t ObjectKey::enter(cpu::Core& core) {
  if (!keyed()) return of_ != nullptr ? of_->enter(core) : 0;
  ++sections_;
  const std::uint64_t written = core.happened(cpu::Event::kMsrPor);
  const std::uint64_t before = of_ != nullptr ? of_->enter(core) : protection_->enter(core, *key_);
  switches_ += core.happened(cpu::Event::kMsrPor) - written;
  return before;
}

// The instructions come last: with interrupts off in the kernel, none finds an object half changed.
void ObjectKey::leave(cpu::Core& core, std::uint64_t before) {
  if (!keyed()) {
    if (of_ != nullptr) of_->leave(core, before);
    return;
  }
  const std::uint64_t written = core.happened(cpu::Event::kMsrPor);
  if (of_ != nullptr) {
    of_->leave(core, before);
  } else {
    protection_->leave(core, before);
  }
  switches_ += core.happened(cpu::Event::kMsrPor) - written;
  core.execute_guard(guard_);
}

}  // namespace kpksim::kernel
