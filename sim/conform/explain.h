#pragma once
// One translation as a person would want to see it: each level with its descriptor decoded field by
// field, base permission, overlay, result, syndrome.

#include <string>

#include "sim/mmu/fault.h"
#include "sim/mmu/physical_memory.h"
#include "sim/mmu/registers.h"
#include "sim/poe/permission.h"

namespace kpksim::conform {

struct Question {
  const mmu::Registers& regs;
  const mmu::PhysicalMemory& memory;
  VirtAddr va;
  poe::Access access;
  bool pan;
};

// Several lines, each ending in '\n'. A fresh walk; neither memory nor any TLB changes.
std::string explain(const Question& question);

// "permission fault, level 3, overlay; ESR_EL1 0x...: EC 0x25 data abort from the same EL, ..."
std::string describe_fault(const mmu::Fault& fault, const poe::Access& access);
std::string describe_esr(std::uint64_t esr);

}  // namespace kpksim::conform
