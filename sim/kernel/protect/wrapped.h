#pragma once
// A protection around another, which does everything as that one does. Who watches, breaks or
// attacks a protection between its steps derives from it and overrides those steps alone.

#include <memory>
#include <utility>

#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {

class Wrapped : public Protection {
 public:
  explicit Wrapped(std::unique_ptr<Protection> inner) : inner_(std::move(inner)) {}

  void boot(mmu::Registers& regs) const override { inner_->boot(regs); }
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind kind) override {
    inner_->mark(core, first, count, kind);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    inner_->unmark(core, first, count);
  }
  VirtAddr pointer_to(cpu::Core& core, VirtAddr linear) override {
    return inner_->pointer_to(core, linear);
  }
  std::uint64_t open(cpu::Core& core, const Target& target) override {
    return inner_->open(core, target);
  }
  void close(cpu::Core& core, const Target& target, std::uint64_t before,
             bool synchronised) override {
    inner_->close(core, target, before, synchronised);
  }
  std::uint64_t enter(cpu::Core& core, PkeyIndex key) override { return inner_->enter(core, key); }
  void leave(cpu::Core& core, std::uint64_t before) override { inner_->leave(core, before); }
  std::uint64_t window_bits() const override { return inner_->window_bits(); }
  bool is_context(std::uint64_t por) const override { return inner_->is_context(por); }
  void save(cpu::Core& core) override { inner_->save(core); }
  std::uint64_t exception_entry(cpu::Core& core) override { return inner_->exception_entry(core); }
  void exception_return(cpu::Core& core, std::uint64_t saved) override {
    inner_->exception_return(core, saved);
  }
  void set_locks(Locks& locks) override { inner_->set_locks(locks); }
  std::uint64_t bbm_violations() const override { return inner_->bbm_violations(); }

 private:
  const std::unique_ptr<Protection> inner_;
};

}  // namespace kpksim::kernel
