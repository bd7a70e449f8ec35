#pragma once
// The audit: does any TLB or walk cache hold what the tables no longer say?

#include <cstdint>

#include "sim/kernel/kernel_memory.h"
#include "sim/kernel/scheduler.h"

namespace kpksim::kernel {

struct AuditResult {
  std::uint64_t checked = 0;
  std::uint64_t stale_leaves = 0;    // TLB entries that the tables no longer justify
  std::uint64_t stale_tables = 0;    // walk cache entries to tables that are gone
  std::uint64_t bbm_violations = 0;  // since boot: see System::check_broken()
};

// Does a fresh walk with these registers find what `entry` holds?
bool agrees(const mmu::PhysicalMemory& memory, const mmu::Registers& regs,
            const mmu::TlbEntry& entry);

// Do the tables allow all that the entry does, through the same page? Then it loses nobody anything
// but time where a page fault drops the entry that caused it: on x86-64, and since Linux 7.3.
bool allows_less(const mmu::PhysicalMemory& memory, const mmu::Registers& regs,
                 const mmu::TlbEntry& entry);

// Holds every cached translation against a fresh walk of the tables of its address space.
AuditResult audit(const System& system, const Tasks& tasks, const AsidAllocator& asids,
                  const KernelMemory& memory);

}  // namespace kpksim::kernel
