#pragma once
// A protection whose marks, saves and restores can be watched and broken (Taps). All else is the
// protection's own.

#include <memory>
#include <unordered_map>
#include <utility>

#include "sim/kernel/protect/protection.h"
#include "sim/kernel/taps.h"

namespace kpksim::kernel {

class Tapped final : public Protection {
 public:
  Tapped(std::unique_ptr<Protection> inner, Taps& taps) : inner_(std::move(inner)), taps_(taps) {}

  void boot(mmu::Registers& regs) const override {
    inner_->boot(regs);
    saved_ = regs.por_el1;
  }
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind kind) override;
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override;
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
  std::uint64_t exception_entry(cpu::Core& core) override;
  void exception_return(cpu::Core& core, std::uint64_t saved) override;
  std::uint64_t bbm_violations() const override { return inner_->bbm_violations(); }

 private:
  struct Hash {
    std::size_t operator()(Pfn pfn) const { return pfn.value; }
  };

  const std::unique_ptr<Protection> inner_;
  Taps& taps_;
  std::unordered_map<Pfn, TableKind, Hash> kinds_;  // of what is marked
  mutable std::uint64_t saved_ = 0;                 // what an exception saved last
};

}  // namespace kpksim::kernel
