#pragma once
// Page tables told apart by allocation tags: what `mte` is, and `kpkeys-poe+mte` has besides keys.

#include <cstdint>
#include <random>
#include <vector>

#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {

// Tags of a page: those of the tables' pages, and the one of all other memory.
class TaggedTables : public Protection {
 public:
  TaggedTables(const ProtectionContext& context, const Parameters& parameters);

  void boot(mmu::Registers& regs) const override;
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind kind) override;
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override;
  VirtAddr pointer_to(cpu::Core& core, VirtAddr linear) override;

 private:
  const std::uint64_t tags_;
  const bool match_all_;
  std::mt19937_64 random_;  // the core's random tags (IRG)
};

// What both declare.
std::vector<ParameterInfo> tag_parameters();
CoreFeature memory_tagging();

}  // namespace kpksim::kernel
