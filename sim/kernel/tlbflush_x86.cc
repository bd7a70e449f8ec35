// arch/x86/mm/tlb.c: a core invalidates its own TLB alone. Others are told by an interrupt, which
// the sender waits for.

#include "sim/kernel/tlbflush.h"

namespace kpksim::kernel {

using mmu::Domain;
using mmu::TlbiKind;

namespace {
constexpr std::uint64_t kSinglePages = 33;  // tlb_single_page_flush_ceiling
}  // namespace

void TlbFlush::shoot_down(cpu::Core& core, FlushSite site, TlbiKind kind,
                          const std::vector<std::uint64_t>& operands,
                          std::optional<Asid> asid) const {
  const auto here = [&](cpu::Core& on) {
    if (site == options_.left_out) return;
    for (const std::uint64_t operand : operands) on.tlbi({kind, Domain::kLocal}, operand);
  };
  here(core);
  cpu::Machine& machine = core.machine();
  for (unsigned c = 0; c < machine.core_count(); ++c) {
    if (c == core.id()) continue;
    cpu::Core& other = machine.core(c);
    if (!asid || other.mmu().registers().asid() == *asid) {
      core.send_ipi(c, here);
    } else if (site != options_.left_out) {
      // It has the address space cached at most. When it next switches to it, it sees that its
      // tlb_gen is old and flushes, in the same write of CR3: no event of its own.
      for (const std::uint64_t operand : operands) {
        other.mmu().invalidate(mmu::decode(kind, operand));
      }
    }
  }
}

void TlbFlush::all(cpu::Core& core, FlushSite site) const {
  shoot_down(core, site, TlbiKind::kVmalle1, {0}, std::nullopt);
}

// flush_tlb_mm_range(), and flush_tlb_kernel_range() without an ASID: INVLPG for each entry, or all
// at once. INVLPG drops what is cached of tables too.
void TlbFlush::shoot_down_range(cpu::Core& core, FlushSite site, std::optional<Asid> asid,
                                VirtAddr start, VirtAddr end, std::uint64_t stride) const {
  const std::uint64_t from = align_down(start.value, stride);
  const std::uint64_t entries = (align_up(end.value, stride) - from) / stride;
  const Asid of = asid.value_or(Asid(0));
  if (entries > kSinglePages) {
    return asid ? shoot_down(core, site, TlbiKind::kAside1, {mmu::encode_va(VirtAddr(0), of, 0)},
                             asid)
                : shoot_down(core, site, TlbiKind::kVmalle1, {0}, asid);
  }
  std::vector<std::uint64_t> operands;
  for (std::uint64_t i = 0; i < entries; ++i) {
    operands.push_back(mmu::encode_va(VirtAddr(from + i * stride), of, 0));
  }
  shoot_down(core, site, asid ? TlbiKind::kVae1 : TlbiKind::kVaae1, operands, asid);
}

}  // namespace kpksim::kernel
