#pragma once
// A protection with somebody who strikes between its steps: in a window that it has opened, before
// a page is marked, after one is unmarked, when an exception has saved the register. All else is
// the protection's own.

#include <functional>
#include <memory>
#include <utility>

#include "sim/kernel/protect/protection.h"

namespace kpksim::attack {

struct Occasions {
  std::function<void(cpu::Core&, const kernel::Target&)> window_opened;
  std::function<void(cpu::Core&, Pfn)> before_mark, after_unmark;
  // What was saved: may be changed.
  std::function<void(cpu::Core&, std::uint64_t&)> exception_saved;
};

class Struck final : public kernel::Protection {
 public:
  // `occasions` outlives it.
  Struck(std::unique_ptr<kernel::Protection> inner, const Occasions& occasions)
      : inner_(std::move(inner)), occasions_(occasions) {}

  void boot(mmu::Registers& regs) const override { inner_->boot(regs); }
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, kernel::TableKind kind) override {
    if (occasions_.before_mark) occasions_.before_mark(core, first);
    inner_->mark(core, first, count, kind);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    inner_->unmark(core, first, count);
    if (occasions_.after_unmark) occasions_.after_unmark(core, first);
  }
  VirtAddr pointer_to(cpu::Core& core, VirtAddr linear) override {
    return inner_->pointer_to(core, linear);
  }
  std::uint64_t open(cpu::Core& core, const kernel::Target& target) override {
    const std::uint64_t before = inner_->open(core, target);
    if (occasions_.window_opened) occasions_.window_opened(core, target);
    return before;
  }
  void close(cpu::Core& core, const kernel::Target& target, std::uint64_t before,
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
    if (occasions_.exception_saved) occasions_.exception_saved(core, saved);
    inner_->exception_return(core, saved);
  }
  std::uint64_t bbm_violations() const override { return inner_->bbm_violations(); }

 private:
  const std::unique_ptr<kernel::Protection> inner_;
  const Occasions& occasions_;
};

}  // namespace kpksim::attack
