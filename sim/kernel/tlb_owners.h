#pragma once
// Whose entries a core holds under an ASID (on x86-64 under a PCID), and which of them it may use:
// for onlookers who judge what is cached.

#include <cstdint>
#include <map>

#include "sim/kernel/asid.h"
#include "sim/kernel/system.h"
#include "sim/kernel/task.h"
#include "sim/kernel/x86_tlb.h"

namespace kpksim::kernel {

class TlbOwners {
 public:
  struct Owner {
    const Mm* mm = nullptr;
    bool leaves = true, tables = true;
  };

  TlbOwners(const System& system, const Tasks& tasks, const AsidAllocator& asids)
      : x86_(system.flush.x86()) {
    for (const Mm* mm : tasks.spaces()) {
      if (x86_ == nullptr && asids.valid(mm->space)) by_number_[mm->space.asid.value] = mm;
      if (x86_ != nullptr && mm->space.context != 0) by_number_[mm->space.context] = mm;
    }
  }

  // Of user addresses.
  Owner of(unsigned core, Asid asid) const {
    if (x86_ == nullptr) {
      const Mm* const mm = find(asid.value);
      return {mm, mm != nullptr};  // its entries can be hit by nobody, but its tables are walked
    }
    const Mm* const mm = find(x86_->context_under(core, asid));
    const X86Tlb::Use use = x86_->use_of(core, asid, mm == nullptr ? nullptr : &mm->space);
    return {mm, mm != nullptr && use == X86Tlb::Use::kAll, use != X86Tlb::Use::kNothing};
  }

 private:
  const Mm* find(std::uint64_t number) const {
    const auto it = by_number_.find(number);
    return it == by_number_.end() ? nullptr : it->second;
  }

  const X86Tlb* x86_;
  std::map<std::uint64_t, const Mm*> by_number_;  // ASIDs, or contexts of x86-64
};

}  // namespace kpksim::kernel
