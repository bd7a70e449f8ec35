#include "sim/kernel/protect/soft_mode.h"

#include <algorithm>

#include "sim/kernel/pgtable.h"
#include "sim/mmu/regime.h"

namespace kpksim::kernel {
namespace {

constexpr poe::Access kStore{poe::AccessKind::kWrite, 1, false};

// The page of a linear-map address; a pointer may have a tag.
Pfn page_of(VirtAddr va) {
  return frame_of(PhysAddr(mmu::without_tag(va).value - kPageOffset + kPhysOffset));
}

}  // namespace

bool SoftMode::detects(const mmu::Fault& fault) const {
  const std::uint64_t va = mmu::without_tag(fault.far).value;
  if (va < kPageOffset || va >= kVmallocStart) return false;
  return std::any_of(refusals_.begin(), refusals_.end(), [&](const Refusal& r) {
    return fault.kind == r.kind && fault.overlay == r.overlay && fault.stage2 == r.stage2;
  });
}

void SoftMode::let_pass(cpu::Core& core, const mmu::Fault& fault) {
  const bool x86 = core.machine().profile().architecture == cpu::Architecture::kX86;
  protection_.count({fault.far, core.id(), core.cause(),
                     x86 ? mmu::page_fault_code(fault) : mmu::esr_of(fault, kStore)});
  const Pfn page = page_of(fault.far);
  protection_.unmark(core, page, 1);
  exposure_.stays(page);
}

bool is_soft(const ProtectionInfo& info, const GivenParameters& given) {
  const auto& declared = info.parameters;
  const bool can = std::any_of(declared.begin(), declared.end(), [](const ParameterInfo& p) {
    return p.name == soft_parameter().name;
  });
  return can && Parameters(std::string(info.name), declared, given).is_on(soft_parameter().name);
}

}  // namespace kpksim::kernel
