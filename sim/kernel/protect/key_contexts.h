#pragma once
// kpkeys on AArch64 with any classes and any budget of keys (sim/kernel/object/classes.h): each
// context has a constant for the key register, which is all that is ever written, beside the value
// that was read before (kpkeys_leave_context()). What has not changed is not written, as in v9.

#include <vector>

#include "sim/kernel/object/classes.h"
#include "sim/kernel/protect/kpkeys.h"

namespace kpksim::kernel {

// Hears which context's register is in force from now on, and whether that was entered or is put
// back.
class ContextWatcher {
 public:
  virtual ~ContextWatcher() = default;
  virtual void switched(cpu::Core& core, std::size_t context, bool entered) = 0;
};

class KeyContexts final : public KeyedTables {
 public:
  static constexpr std::size_t kAtRest = ~std::size_t{0};  // in no context

  KeyContexts(const ProtectionContext& context, const ClassPlan& plan);
  void set_watcher(ContextWatcher& watcher) { watcher_ = &watcher; }

  void boot(mmu::Registers& regs) const override;
  std::uint64_t window_bits() const override;
  std::uint64_t open(cpu::Core& core, const Target&) override { return push(core, tables_, 0); }
  void close(cpu::Core& core, const Target&, std::uint64_t before, bool synchronised) override;
  void save(cpu::Core& core) override { read(core); }
  std::uint64_t exception_entry(cpu::Core& core) override { return push(core, rest_, kAtRest); }
  void exception_return(cpu::Core& core, std::uint64_t before) override {
    close(core, {}, before, true);  // the ERET that follows synchronises
  }

  // The register gets the value of a context; leave() gets what this gave, and puts back what was.
  std::uint64_t enter_context(cpu::Core& core, const pkrs::KeyRegister& value,
                              std::size_t context) {
    return push(core, value, context);
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
  std::uint64_t push(cpu::Core& core, const pkrs::KeyRegister& value, std::size_t context);
  void tell(cpu::Core& core, bool entered) const;

  const std::size_t registers_;
  const unsigned index_bits_;
  const pkrs::KeyRegister rest_, tables_;
  // What stands on a kernel stack: sections end in the reverse order of their begin.
  struct Saved {
    pkrs::KeyRegister before, now;
    std::size_t context;
  };
  std::vector<std::vector<Saved>> saved_;  // by core
  ContextWatcher* watcher_ = nullptr;
};

}  // namespace kpksim::kernel
