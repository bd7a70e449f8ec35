#pragma once
// A protection whose marks, saves and restores can be watched and broken (Taps). All else is the
// protection's own.

#include <memory>
#include <unordered_map>
#include <utility>

#include "sim/kernel/protect/wrapped.h"
#include "sim/kernel/taps.h"

namespace kpksim::kernel {

class Tapped final : public Wrapped {
 public:
  Tapped(std::unique_ptr<Protection> inner, Taps& taps) : Wrapped(std::move(inner)), taps_(taps) {}

  void boot(mmu::Registers& regs) const override {
    Wrapped::boot(regs);
    saved_ = regs.por_el1;
  }
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, TableKind kind) override;
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override;
  std::uint64_t exception_entry(cpu::Core& core) override;
  void exception_return(cpu::Core& core, std::uint64_t saved) override;

 private:
  struct Hash {
    std::size_t operator()(Pfn pfn) const { return pfn.value; }
  };

  Taps& taps_;
  std::unordered_map<Pfn, TableKind, Hash> kinds_;  // of what is marked
  mutable std::uint64_t saved_ = 0;                 // what an exception saved last
};

}  // namespace kpksim::kernel
