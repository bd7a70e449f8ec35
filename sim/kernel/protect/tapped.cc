#include "sim/kernel/protect/tapped.h"

namespace kpksim::kernel {

void Tapped::mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind kind) {
  for (std::uint64_t i = 0; i < count; ++i) kinds_[first + i] = kind;
  const FaultSite site = plus(FaultSite::kMark, static_cast<unsigned>(kind));
  taps_.injector.at(core, site, [this, first, count, kind](cpu::Core& on) {
    Wrapped::mark(on, first, count, kind);
    if (taps_.observer != nullptr) taps_.observer->marked(on, first, count);
  });
}

void Tapped::unmark(cpu::Core& core, Pfn first, std::uint64_t count) {
  const auto kind = kinds_.find(first);
  const TableKind of = kind == kinds_.end() ? TableKind::kPool : kind->second;
  for (std::uint64_t i = 0; i < count; ++i) kinds_.erase(first + i);
  if (taps_.observer != nullptr) taps_.observer->unmarking(core, first, count);
  const FaultSite site = plus(FaultSite::kUnmark, static_cast<unsigned>(of));
  taps_.injector.at(core, site,
                    [this, first, count](cpu::Core& on) { Wrapped::unmark(on, first, count); });
}

// Skipped, pt_regs keep what was there; what the handler runs with is the inner one's.
std::uint64_t Tapped::exception_entry(cpu::Core& core) {
  const std::uint64_t now = Wrapped::exception_entry(core);
  if (!taps_.injector.skips(FaultSite::kSaveException)) saved_ = now;
  return saved_;
}

void Tapped::exception_return(cpu::Core& core, std::uint64_t saved) {
  taps_.injector.at(core, FaultSite::kRestoreException,
                    [this, saved](cpu::Core& on) { Wrapped::exception_return(on, saved); });
}

}  // namespace kpksim::kernel
