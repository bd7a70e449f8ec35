#pragma once
// For the files that implement the sanitizer. Whether a cached translation is wrong: it could be
// used, and a walk of the tables would not find it now. For one moment, as address spaces come and
// go.

#include <optional>

#include "sim/check/sanitizer.h"
#include "sim/kernel/audit.h"
#include "sim/kernel/mm.h"

namespace kpksim::check {

class Sanitizer::Judge {
 public:
  explicit Judge(Sanitizer& sanitizer) : s_(sanitizer) {}

  // Could an access of this core use the entry, now or when it next runs the address space?
  bool usable(unsigned c, const mmu::TlbEntry& entry) {
    mmu::Registers unused;
    return usable(c, entry.va(), entry.asid, unused);
  }
  bool stale(unsigned c, const mmu::TlbEntry& entry) {
    mmu::Registers regs = s_.core(c).mmu().registers();
    if (!usable(c, entry.va(), entry.asid, regs)) return false;
    if (kernel::agrees(s_.memory_, regs, entry)) return false;
    const bool lazy = s_.options_.gains_are_lazy || s_.system_.flush.x86() != nullptr;
    return !lazy || !kernel::allows_less(s_.memory_, regs, entry);
  }
  // May the walker read the table that the entry leads to, which is none of this address now?
  bool stale(unsigned c, const mmu::WalkCache::Entry& entry) {
    mmu::Registers regs = s_.core(c).mmu().registers();
    if (s_.kernel_.asids().flush_pending(c)) return false;
    if (!mmu::upper_half(entry.va())) {
      const kernel::TlbOwners::Owner owner = owners().of(c, entry.asid);
      if (!owner.tables) return false;
      if (owner.mm == nullptr) return true;
      regs.ttbr0 = address_of(owner.mm->root()).value;
    }
    bool found = false;
    const poe::Access read{poe::AccessKind::kRead, 1, false};
    mmu::walk(s_.memory_, regs, entry.va(), read, [&](const mmu::WalkState& next) {
      found |= next.level == entry.next.level && next.table == entry.next.table;
    });
    return !found;
  }

 private:
  const kernel::TlbOwners& owners() {
    if (!owners_) owners_.emplace(s_.system_, s_.kernel_.tasks(), s_.kernel_.asids());
    return *owners_;
  }
  bool usable(unsigned c, VirtAddr va, Asid asid, mmu::Registers& regs) {
    if (s_.kernel_.asids().flush_pending(c)) return false;
    if (mmu::upper_half(va)) return !s_.kernel_.memory().waiting(va);
    const kernel::TlbOwners::Owner owner = owners().of(c, asid);
    // An address space that ends is used by nobody any more.
    if (!owner.leaves || owner.mm == nullptr || owner.mm->users == 0) return false;
    regs.ttbr0 = address_of(owner.mm->root()).value;
    return true;
  }
  Sanitizer& s_;
  std::optional<kernel::TlbOwners> owners_;
};

template <class Visit>
void Sanitizer::each_core(const Place& place, Visit&& visit) {
  for (unsigned c = 0; c < system_.machine.core_count(); ++c) {
    if ((place.cores >> (c % 64) & 1) != 0) visit(c);
  }
}

template <class Visit>
void Sanitizer::each_leaf(const Place& place, Visit&& visit) {
  each_core(place, [&](unsigned c) {
    core(c).mmu().each_cached(place.va, place.asid,
                              [&](const mmu::TlbEntry& entry) { visit(c, entry); });
  });
}

template <class Visit>
void Sanitizer::each_table(const Place& place, Visit&& visit) {
  each_core(place, [&](unsigned c) {
    for (const mmu::WalkCache::Entry& entry : core(c).mmu().walk_cache().entries()) {
      if (entry.valid && entry.asid == place.asid && entry.next.table == place.next)
        visit(c, entry);
    }
  });
}

}  // namespace kpksim::check
