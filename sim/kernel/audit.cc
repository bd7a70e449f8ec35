#include "sim/kernel/audit.h"

#include "sim/kernel/tlb_owners.h"
#include "sim/mmu/regime.h"
#include "sim/mmu/walker.h"

namespace kpksim::kernel {

namespace {

// Hardware marks one entry of a contiguous run as used or dirty, and that stands for all of them.
mmu::Descriptor whole_run(const mmu::PhysicalMemory& memory, const mmu::WalkResult& found) {
  mmu::Descriptor run = found.descriptor;
  const PhysAddr first(align_down(found.address.value, kContiguousEntries * 8));
  for (unsigned i = 0; i < kContiguousEntries; ++i) {
    const mmu::Descriptor d{memory.read64(first + i * 8)};
    if (is_young(d)) run = run.with(mmu::field::kAccessFlag, 1);
    if (is_dirty(d)) run = run.with(mmu::field::kAp2, 0);
  }
  return run;
}

// A clean entry of a page that another core has marked dirty since: a write through it makes a
// walk, which finds the page dirty, and nobody has to invalidate it.
bool hardware_dirties(const mmu::Registers& regs, const mmu::TlbEntry& entry,
                      const mmu::WalkResult& now) {
  const mmu::Descriptor cached = entry.leaf.descriptor;
  return mmu::permission_controls(regs).hw_dirty && is_writable(cached) && !is_dirty(cached) &&
         is_dirty(now.descriptor);
}

// The walker's cache of stage 2: what it holds finds its way into the TLBs with the next walks.
void audit_stage2(const mmu::PhysicalMemory& memory, const mmu::Stage2& stage2,
                  AuditResult& result) {
  for (const mmu::TlbEntry& entry : stage2.cache().entries()) {
    if (!entry.valid) continue;
    const PhysAddr ipa(entry.va().value);
    const mmu::Stage2Result now = mmu::walk_stage2(memory, stage2.regime(), ipa, [] {});
    const bool same = now.fault == mmu::FaultKind::kNone && now.base == entry.leaf.base &&
                      now.page_bits == entry.leaf.page_bits &&
                      now.rights == entry.leaf.stage2_rights;
    if (!same) ++result.stale_leaves;
  }
}

}  // namespace

bool agrees(const mmu::PhysicalMemory& memory, const mmu::Registers& regs,
            const mmu::TlbEntry& entry) {
  constexpr std::uint64_t kCachedRights = mmu::field::kAp1.mask() | mmu::field::kAp2.mask() |
                                          mmu::field::kUxn.mask() | mmu::field::kPxn.mask() |
                                          mmu::field::kAccessFlag.mask() |
                                          poe::overlay_index_bits((1u << poe::kMostIndexBits) - 1);
  mmu::WalkResult now = mmu::walk(memory, regs, entry.va());
  if (now.descriptor.contiguous()) now.descriptor = whole_run(memory, now);
  const std::uint64_t offset = entry.va().value;
  const bool same_page =
      !now.fault && entry.leaf.base + (offset & ((1ull << entry.leaf.page_bits) - 1)) ==
                        now.base + (offset & ((1ull << now.page_bits) - 1));
  // Also an entry that allows less than the tables is wrong, where a fault does not drop it: the
  // access would fault for ever.
  const std::uint64_t rights =
      hardware_dirties(regs, entry, now) ? kCachedRights & ~mmu::field::kAp2.mask() : kCachedRights;
  const bool same_rights = ((now.descriptor.raw ^ entry.leaf.descriptor.raw) & rights) == 0 &&
                           now.stage2_rights == entry.leaf.stage2_rights;
  // A block entry over a table: break-before-make was not kept. The linear map's blocks are
  // split in place (FEAT_BBM level 2).
  const bool same_size =
      mmu::upper_half(entry.va()) || entry.leaf.stage1_bits() == now.stage1_bits();
  return same_page && same_rights && same_size;
}

bool allows_less(const mmu::PhysicalMemory& memory, const mmu::Registers& regs,
                 const mmu::TlbEntry& entry) {
  using namespace mmu::field;
  const mmu::WalkResult now = mmu::walk(memory, regs, entry.va());
  if (now.fault || now.base != entry.leaf.base || now.page_bits != entry.leaf.page_bits)
    return false;
  const std::uint64_t cached = entry.leaf.descriptor.raw, tables = now.descriptor.raw;
  const std::uint64_t denies = kAp2.mask() | kUxn.mask() | kPxn.mask();
  const std::uint64_t grants = kAp1.mask() | kAccessFlag.mask();
  if (mmu::Descriptor{cached}.po_index(poe::kMostIndexBits) !=
      mmu::Descriptor{tables}.po_index(poe::kMostIndexBits))
    return false;
  return (tables & ~cached & denies) == 0 && (cached & ~tables & grants) == 0;
}

AuditResult audit(const System& system, const Tasks& tasks, const AsidAllocator& asids,
                  const KernelMemory& memory) {
  AuditResult result;
  result.bbm_violations = system.bbm_violations() + system.protection->bbm_violations();
  const TlbOwners owners(system, tasks, asids);
  auto& machine = const_cast<cpu::Machine&>(system.machine);
  for (unsigned c = 0; c < machine.core_count(); ++c) {
    const mmu::Mmu& mmu = machine.core(c).mmu();
    if (mmu.stage2() != nullptr) audit_stage2(machine.memory(), *mmu.stage2(), result);
    if (mmu.empty()) continue;
    mmu::Registers regs = mmu.registers();
    const auto owner_of = [&](VirtAddr va, Asid asid) {
      if (mmu::upper_half(va)) return TlbOwners::Owner();
      const TlbOwners::Owner owner = owners.of(c, asid);
      if (owner.mm != nullptr) regs.ttbr0 = address_of(owner.mm->root()).value;
      return owner;
    };
    for (const mmu::Tlb* tlb : {&mmu.l1i(), &mmu.l1d(), &mmu.l2()}) {
      for (const mmu::TlbEntry& entry : tlb->entries()) {
        if (!entry.valid || asids.flush_pending(c) || memory.waiting(entry.va())) continue;
        if (!owner_of(entry.va(), entry.asid).leaves) continue;
        ++result.checked;
        if (agrees(machine.memory(), regs, entry)) continue;
        if (system.flush.x86() != nullptr && allows_less(machine.memory(), regs, entry)) continue;
        ++result.stale_leaves;
      }
    }
    for (const mmu::WalkCache::Entry& entry : mmu.walk_cache().entries()) {
      if (!entry.valid || asids.flush_pending(c)) continue;
      const TlbOwners::Owner owner = owner_of(entry.va(), entry.asid);
      if (!owner.tables) continue;
      ++result.checked;
      if (owner.mm == nullptr && !mmu::upper_half(entry.va())) {
        ++result.stale_tables;  // its tables were freed, the walker may still read them
        continue;
      }
      bool found = false;
      const poe::Access read{poe::AccessKind::kRead, 1, false};
      mmu::walk(machine.memory(), regs, entry.va(), read, [&](const mmu::WalkState& next) {
        found |= next.level == entry.next.level && next.table == entry.next.table;
      });
      if (!found) ++result.stale_tables;
    }
  }
  return result;
}

}  // namespace kpksim::kernel
