// Page tables are read-only in the linear map, and set_memory_rw() and set_memory_ro() stand around
// each window. The mapping is the same for all cores: a window is open for all of them, for the
// pages that it is for. The linear map's own tables stay writable: to open them they would have to
// be written.

#include "sim/kernel/protect/toggled.h"

namespace kpksim::kernel {
namespace {

class RodataToggle final : public ToggledTables {
 public:
  explicit RodataToggle(const ProtectionContext& context) : linear_map_(context.linear_map) {}

 private:
  bool can_mark(TableKind kind) const override { return kind != TableKind::kLinearMap; }
  void show(cpu::Core& core, Pfn first, std::uint64_t count) override {
    linear_map_.set_memory(core, first, count, kSetMemoryRw);
  }
  void hide(cpu::Core& core, Pfn first, std::uint64_t count) override {
    linear_map_.set_memory(core, first, count, kSetMemoryRo);
  }

  LinearMap& linear_map_;
};

const Protections::Entry rodata_toggle_entry{{
    .name = "rodata-toggle",
    .description = "page tables are read-only in the linear map but for set_memory_rw() windows",
    .rank = 2,
    .marks = "read-only",
    .changes_map = true,
    .refuses = {Refusal()},
    .x86 = true,
    .windows = {WindowScope::kEntry, WindowScope::kLazy, WindowScope::kLock},
    .opens_all = false,
    .parameters = {soft_parameter()},
    .against = against_toggled,
    .make = make_protection_of<RodataToggle>,
}};

}  // namespace
}  // namespace kpksim::kernel
