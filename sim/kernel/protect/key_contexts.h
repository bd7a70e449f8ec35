#pragma once
// kpkeys on AArch64 with any classes and any budget of keys (sim/kernel/object/classes.h): each
// context has a constant for the key register, which is all that is ever written, beside the value
// that was read before (kpkeys_leave_context()). What has not changed is not written, as in v9.

#include <vector>

#include "sim/kernel/object/classes.h"
#include "sim/kernel/protect/kpkeys.h"

namespace kpksim::kernel {

class KeyContexts final : public KeyedTables {
 public:
  KeyContexts(const ProtectionContext& context, const ClassPlan& plan);

  void boot(mmu::Registers& regs) const override;
  std::uint64_t window_bits() const override;
  std::uint64_t open(cpu::Core& core, const Target&) override { return push(core, tables_); }
  void close(cpu::Core& core, const Target&, std::uint64_t before, bool synchronised) override;
  void save(cpu::Core& core) override { read(core); }
  std::uint64_t exception_entry(cpu::Core& core) override { return push(core, rest_); }
  void exception_return(cpu::Core& core, std::uint64_t before) override {
    close(core, {}, before, true);  // the ERET that follows synchronises
  }

  // The register gets this value; leave() gets what this gave, and puts back what was.
  std::uint64_t enter_context(cpu::Core& core, const pkrs::KeyRegister& value) {
    return push(core, value);
  }
  void leave(cpu::Core& core, std::uint64_t before) override { close(core, {}, before, false); }
  const pkrs::KeyRegister& at_rest() const { return rest_; }
  // What the innermost section on this core will put back: it lies in memory.
  pkrs::KeyRegister& saved(const cpu::Core& core) { return saved_[core.id()].back().before; }

 private:
  pkrs::KeyRegister read(cpu::Core& core) const;
  // True: something was written.
  bool write(cpu::Core& core, const pkrs::KeyRegister& before,
             const pkrs::KeyRegister& value) const;
  std::uint64_t push(cpu::Core& core, const pkrs::KeyRegister& value);

  const std::size_t registers_;
  const unsigned index_bits_;
  const pkrs::KeyRegister rest_, tables_;
  // What stands on a kernel stack: sections end in the reverse order of their begin.
  struct Saved {
    pkrs::KeyRegister before, now;
  };
  std::vector<std::vector<Saved>> saved_;  // by core
};

}  // namespace kpksim::kernel
