#pragma once
// A protection with somebody who looks in between its steps: in a window that it has opened, before
// a page is marked, while it is being marked, after one is unmarked, when an exception's register
// is about to be restored. All else is the protection's own.

#include <functional>
#include <memory>
#include <utility>

#include "sim/kernel/protect/wrapped.h"

namespace kpksim::attack {

struct Occasions {
  std::function<void(cpu::Core&, const kernel::Target&)> window_opened;
  std::function<void(cpu::Core&)> window_opening, window_closing;
  // `marked`: what is being marked or unmarked; none: nothing any more.
  std::function<void(cpu::Core&, std::optional<Pfn> marked)> marking;
  std::function<void(cpu::Core&)> before_mark, after_unmark;
  // What was saved: may be changed.
  std::function<void(cpu::Core&, std::uint64_t&)> exception_saved;
};

class Struck final : public kernel::Wrapped {
 public:
  // `occasions` outlives it.
  Struck(std::unique_ptr<kernel::Protection> inner, const Occasions& occasions)
      : Wrapped(std::move(inner)), occasions_(occasions) {}

  void mark(cpu::Core& core, Pfn first, std::uint64_t count, kernel::TableKind kind) override {
    say(core, first);
    if (occasions_.before_mark) occasions_.before_mark(core);
    Wrapped::mark(core, first, count, kind);
    say(core, {});
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    say(core, first);
    Wrapped::unmark(core, first, count);
    if (occasions_.after_unmark) occasions_.after_unmark(core);
    say(core, {});
  }
  std::uint64_t open(cpu::Core& core, const kernel::Target& target) override {
    if (occasions_.window_opening) occasions_.window_opening(core);
    const std::uint64_t before = Wrapped::open(core, target);
    if (occasions_.window_opened) occasions_.window_opened(core, target);
    return before;
  }
  void close(cpu::Core& core, const kernel::Target& target, std::uint64_t before,
             bool synchronised) override {
    if (occasions_.window_closing) occasions_.window_closing(core);
    Wrapped::close(core, target, before, synchronised);
  }
  void exception_return(cpu::Core& core, std::uint64_t saved) override {
    if (occasions_.exception_saved) occasions_.exception_saved(core, saved);
    Wrapped::exception_return(core, saved);
  }

 private:
  void say(cpu::Core& core, std::optional<Pfn> marked) const {
    if (occasions_.marking) occasions_.marking(core, marked);
  }

  const Occasions& occasions_;
};

}  // namespace kpksim::attack
