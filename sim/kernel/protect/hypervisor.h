#pragma once
// What both protections by a hypervisor have (Samsung RKP, pKVM's host stage 2, Heki): page-table
// pages are read-only for EL1 at stage 2. The check is on the frame, so that every alias of it is
// covered, whatever the linear map says.
//
// Hardware updates. A walk may read a table that stage 2 makes read-only, but to set an access flag
// or the dirty state in it is a write, and a stage 2 permission fault with S1PTW (Linux says so in
// kvm_is_write_fault()). Each first use of a page would be an exit to EL2. So boot leaves
// TCR_EL1.HA and HD clear, and the kernel sets both by software, in the faults that cores without
// FEAT_HAFDBS take. That also keeps hardware from changing an entry between the kernel's look at it
// and the hypervisor's write.
//
// A call that marks pages, or makes them ordinary again, changes their stage 2 descriptors, and has
// the TLBs forget them: see Stage2Map. TLB entries hold both stages, and no operation finds them by
// their IPA, so that each such change costs all cores all their TLB entries.

#include "sim/kernel/linear_map.h"
#include "sim/kernel/protect/protection.h"
#include "sim/kernel/protect/stage2_map.h"

namespace kpksim::kernel {

inline ParameterInfo mark_parameter() {
  return {"mark", "instructions",
          "of the hypervisor to change the stage 2 rights of a run, beside its TLBIs", "300"};
}

class Hypervised {
 public:
  Hypervised(const ProtectionContext& context, const Parameters& parameters)
      : linear_map_(context.linear_map),
        map_(context.machine.memory(), context.flush, context.memory, context.frames,
             context.beyond),
        instructions_(parameters.number("mark")) {}

  void boot(mmu::Registers& regs) const {
    map_.set_registers(regs);
    regs.tcr = mmu::tcr::kHa.set(mmu::tcr::kHd.set(regs.tcr, 0), 0);
  }
  // A call that changes the rights of `count` frames.
  void set_writable(cpu::Core& core, Pfn first, std::uint64_t count, bool writable) {
    core.hvc();
    core.execute(instructions_);
    map_.set_writable(core, first, count, writable);
    linear_map_.rights_changed(first, count);
  }
  void set_locks(Locks& locks) { map_.set_locks(locks); }
  std::uint64_t bbm_violations() const { return map_.statistics().bbm_violations; }

 private:
  LinearMap& linear_map_;
  Stage2Map map_;
  const std::uint64_t instructions_;
};

}  // namespace kpksim::kernel
