#pragma once
// A machine with one core and a plain kernel mapping of 4 KB pages, for the benchmarks and for
// tests that need real tables without a kernel model.

#include <cstdint>

#include "sim/cpu/core.h"

namespace kpksim::bench {

inline constexpr std::uint64_t kFirstPage = 0xffff'8000'0000'0000;

// Maps `pages` pages from kFirstPage on. They share 64 data frames, so that memory does not grow
// with them; every page has key 1, which POR_EL1 grants.
class AddressSpace {
 public:
  AddressSpace(const cpu::CoreProfile& profile, std::uint64_t pages) : machine_(profile, 1) {
    mmu::PhysicalMemory& memory = machine_.memory();
    const PhysAddr root = new_table();
    for (std::uint64_t page = 0; page < pages; ++page) {
      const std::uint64_t va = kFirstPage + page * kPageSize;
      PhysAddr table = root;
      for (unsigned level = 0; level < mmu::kLastLevel; ++level) {
        const PhysAddr entry = table + ((va >> mmu::level_shift(level)) % kEntriesPerTable) * 8;
        if (memory.read64(entry) == 0) memory.write64(entry, new_table().value | 3);
        table = mmu::Descriptor{memory.read64(entry)}.output();
      }
      mmu::Descriptor leaf{(kData + (page % 64) * kPageSize) | 3};
      leaf = leaf.with(mmu::field::kAccessFlag, 1).with(mmu::field::kPoIndex, 1);
      memory.write64(table + ((va >> kPageShift) % kEntriesPerTable) * 8, leaf.raw);
    }
    mmu::Registers regs;
    regs.tcr = mmu::tcr::kT0Sz.set(mmu::tcr::kT1Sz.set(0, 16), 16);
    regs.tcr = mmu::tcr::kIps.set(mmu::tcr::kTg1.set(regs.tcr, 0b10), 0b101);
    regs.tcr2 = mmu::tcr2::kPoe.set(0, 1);
    regs.sctlr = mmu::sctlr::kM.set(0, 1);
    regs.ttbr1 = root.value;
    regs.por_el1 = 0x57;  // key 0: RWX, key 1: RW
    core().set_registers(regs);
  }

  cpu::Core& core() { return machine_.core(0); }
  cpu::Machine& machine() { return machine_; }

 private:
  static constexpr std::uint64_t kData = 0x1000'0000;
  PhysAddr new_table() { return PhysAddr(next_table_ += kPageSize); }

  cpu::Machine machine_;
  std::uint64_t next_table_ = 0x4000'0000;
};

}  // namespace kpksim::bench
