#pragma once
// A protection with somebody who strikes between its steps: in a window that it has opened, before
// a page is marked, after one is unmarked, when an exception has saved the register. All else is
// the protection's own.

#include <functional>
#include <memory>
#include <utility>

#include "sim/kernel/protect/wrapped.h"

namespace kpksim::attack {

struct Occasions {
  std::function<void(cpu::Core&, const kernel::Target&)> window_opened;
  std::function<void(cpu::Core&, Pfn)> before_mark, after_unmark;
  // What was saved: may be changed.
  std::function<void(cpu::Core&, std::uint64_t&)> exception_saved;
};

class Struck final : public kernel::Wrapped {
 public:
  // `occasions` outlives it.
  Struck(std::unique_ptr<kernel::Protection> inner, const Occasions& occasions)
      : Wrapped(std::move(inner)), occasions_(occasions) {}

  void mark(cpu::Core& core, Pfn first, std::uint64_t count, kernel::TableKind kind) override {
    if (occasions_.before_mark) occasions_.before_mark(core, first);
    Wrapped::mark(core, first, count, kind);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    Wrapped::unmark(core, first, count);
    if (occasions_.after_unmark) occasions_.after_unmark(core, first);
  }
  std::uint64_t open(cpu::Core& core, const kernel::Target& target) override {
    const std::uint64_t before = Wrapped::open(core, target);
    if (occasions_.window_opened) occasions_.window_opened(core, target);
    return before;
  }
  void exception_return(cpu::Core& core, std::uint64_t saved) override {
    if (occasions_.exception_saved) occasions_.exception_saved(core, saved);
    Wrapped::exception_return(core, saved);
  }

 private:
  const Occasions& occasions_;
};

}  // namespace kpksim::attack
