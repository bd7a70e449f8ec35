// The debugging scheme that the discussion of v6 names: a process's leaf tables are not mapped in
// the linear map but while their lock is held. pte_offset_map_lock() and its relatives map the
// table, pte_unmap_unlock() takes it away with a TLBI. Holders on several cores are counted for
// each page. pte_offset_map() without the lock maps as well. As an option all levels; the kernel's
// own tables have no such calls (pte_offset_kernel()), and stay mapped.

#include "sim/kernel/protect/toggled.h"

namespace kpksim::kernel {
namespace {

class UnmapLeaf final : public ToggledTables {
 public:
  UnmapLeaf(const ProtectionContext& context, const Parameters& parameters)
      : linear_map_(context.linear_map), all_(parameters.choice("levels") == "all") {}

 private:
  static constexpr std::uint64_t kValid = mmu::field::kValid.mask();

  bool can_mark(TableKind kind) const override {
    return kind == TableKind::kUserLeaf || (all_ && kind == TableKind::kUser);
  }
  void show(cpu::Core& core, Pfn first, std::uint64_t count) override {
    linear_map_.set_memory(core, first, count, {0, kValid});
  }
  void hide(cpu::Core& core, Pfn first, std::uint64_t count) override {
    linear_map_.set_memory(core, first, count, {kValid, 0});
  }

  LinearMap& linear_map_;
  const bool all_;
};

std::string leaf_against(const Combination& c) {
  if (!c.allocator.pools) return {};
  return "it tells a process's leaf tables apart when they are allocated, but the pages of '" +
         std::string(c.allocator.name) + "' are marked before; use 'per-page'";
}

const Protections::Entry unmap_leaf_entry{{
    .name = "unmap-leaf",
    .description = "a process's leaf tables are mapped only while their lock is held",
    .rank = 2,
    .marks = "unmapped",
    .changes_map = true,
    .refuses = {{mmu::FaultKind::kTranslation}},
    .x86 = true,
    .windows = {WindowScope::kLock},
    .other_windows = "the table is mapped by the call that takes its lock",
    .opens_all = false,
    .hides = true,
    .parameters = {choice_parameter("levels", "leaf tables alone, or those above them too", "leaf",
                                    {"leaf", "all"}),
                   soft_parameter()},
    .against = leaf_against,
    .make = make_protection_of<UnmapLeaf>,
}};

}  // namespace
}  // namespace kpksim::kernel
