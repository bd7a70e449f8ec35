// kpkeys and memory tagging on one page: a store needs the window and the page's tag. The overlay
// is part of translation's permissions, so that where both refuse it is an overlay fault.

#include "sim/kernel/protect/kpkeys.h"
#include "sim/kernel/protect/mte.h"

namespace kpksim::kernel {
namespace {

std::unique_ptr<Protection> make_keys(const ProtectionContext& context, const std::string& series) {
  const ProtectionInfo& info = Protections::find("kpkeys-poe", "protection");
  return info.make(context,
                   Parameters(std::string(info.name), info.parameters, {{"series", series}}));
}

class KpkeysPoeMte final : public Protection {
 public:
  KpkeysPoeMte(const ProtectionContext& context, const Parameters& parameters)
      : keys_(make_keys(context, parameters.choice("series"))), tags_(context, parameters) {}

  void boot(mmu::Registers& regs) const override {
    keys_->boot(regs);
    tags_.boot(regs);
  }
  // Tags are stored while the page can be written.
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind kind) override {
    tags_.mark(core, first, count, kind);
    keys_->mark(core, first, count, kind);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    keys_->unmark(core, first, count);
    tags_.unmark(core, first, count);
  }
  VirtAddr pointer_to(cpu::Core& core, VirtAddr linear) override {
    return tags_.pointer_to(core, linear);
  }

  std::uint64_t open(cpu::Core& core, const Target& target) override {
    return keys_->open(core, target);
  }
  void close(cpu::Core& core, const Target& target, std::uint64_t before,
             bool synchronised) override {
    keys_->close(core, target, before, synchronised);
  }
  bool is_context(std::uint64_t por) const override { return keys_->is_context(por); }
  void save(cpu::Core& core) override { keys_->save(core); }
  std::uint64_t exception_entry(cpu::Core& core) override { return keys_->exception_entry(core); }
  void exception_return(cpu::Core& core, std::uint64_t before) override {
    keys_->exception_return(core, before);
  }

 private:
  const std::unique_ptr<Protection> keys_;
  TaggedTables tags_;
};

std::vector<ParameterInfo> poe_mte_parameters() {
  std::vector<ParameterInfo> all = tag_parameters();
  all.insert(all.begin(), series_parameter());
  return all;
}

const Protections::Entry kpkeys_poe_mte_entry{{
    .name = "kpkeys-poe+mte",
    .description = "both: a key, writable in a window only, and a tag",
    .marks = "a key and a tag",
    .changes_map = true,
    .refuses = {{.overlay = true}, {mmu::FaultKind::kTagCheck}},
    .needs = memory_tagging(),
    .windows = {WindowScope::kEntry, WindowScope::kLazy, WindowScope::kLock},
    .own_pointers = true,
    .parameters = poe_mte_parameters(),
    .against = against_kpkeys,
    .make = make_protection_of<KpkeysPoeMte>,
}};

}  // namespace
}  // namespace kpksim::kernel
