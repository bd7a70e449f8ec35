#pragma once
// The stage 2 tables of a hypervisor that has one virtual machine, the kernel, and watches over
// what its memory is used for: an identity map of the kernel's memory, with blocks of 1 GB and 2 MB
// that are split where a page's rights differ (and stay split), as pKVM's host stage 2.
//
// The tables lie in memory of the hypervisor's own, which stage 2 does not map. There is enough of
// it for a map of single pages (Linux: host_s2_pgtable_pages()), 0.2 % of the kernel's memory, so
// that it cannot run out.

#include <cstdint>

#include "sim/cpu/core.h"
#include "sim/kernel/tlbflush.h"
#include "sim/mmu/physical_memory.h"
#include "sim/mmu/registers.h"
#include "sim/mmu/stage2.h"

namespace kpksim::kernel {

class Stage2Map {
 public:
  struct Statistics {
    std::uint64_t tables = 0;          // pages of stage 2 tables
    std::uint64_t changed_leaves = 0;  // rewritten descriptors
    std::uint64_t splits = 0;
    std::uint64_t bbm_violations = 0;  // entries of split blocks that a TLB still held
  };

  // Maps `count` frames from `first` on, all rights, with tables from frame `tables` on.
  Stage2Map(mmu::PhysicalMemory& memory, TlbFlush& flush, Pfn first, std::uint64_t count,
            Pfn tables);

  // HCR_EL2.VM, VTCR_EL2 and VTTBR_EL2.
  void set_registers(mmu::Registers& regs) const;

  // At EL2: gives the frames the right to be written, or takes it, and has all TLBs forget what
  // they know of them.
  void set_writable(cpu::Core& core, Pfn first, std::uint64_t count, bool writable);

  // Cores are interleaved: while a block is broken no other acts.
  void set_locks(Locks& locks) { locks_ = &locks; }

  const Statistics& statistics() const { return statistics_; }

 private:
  Pfn new_table();
  PhysAddr entry(Pfn table, PhysAddr ipa, unsigned level) const;
  Pfn split(cpu::Core& core, PhysAddr entry, PhysAddr ipa, unsigned level);
  // A block was broken: does a TLB hold a part of it?
  void check_broken(cpu::Machine& machine, PhysAddr ipa, unsigned level);
  // Writes the leaves of [start, end) below a table and returns how many; `last`: the last one's
  // IPA.
  std::uint64_t change(cpu::Core& core, Pfn table, unsigned level, PhysAddr start, PhysAddr end,
                       bool writable, PhysAddr& last);

  mmu::PhysicalMemory& memory_;
  TlbFlush& flush_;
  const PhysAddr end_;
  Pfn next_table_;
  const Pfn tables_end_;
  unsigned input_bits_, start_level_;
  Pfn root_;
  Locks* locks_ = nullptr;
  Statistics statistics_;
};

}  // namespace kpksim::kernel
