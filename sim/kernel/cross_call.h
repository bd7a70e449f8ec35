#pragma once
// Interrupts to other cores, which execute a function (smp_call_function_many_cond()); who sends
// them waits for all.
//
// Where operations take turns no other core is in the middle of anything. Where cores are
// interleaved it is at its own place in time: it takes the interrupt when it is sent, or when it
// gets there, if it is ahead; it may be in the kernel, even in a window, whose register its
// exception entry saves; and the sender goes on when the last one has answered.

#include "sim/cpu/core.h"
#include "sim/kernel/protect/protection.h"

namespace kpksim::kernel {

class CrossCalls {
 public:
  // Several interrupts at once cost less than one by one.
  enum class Sent : std::uint8_t { kOneByOne, kTogether };

  void set_protection(Protection& protection) { protection_ = &protection; }

  // `handler(core)` on each of `cores` but this one.
  template <class Handler>
  void on_others(cpu::Core& core, const cpu::CoreSet& cores, Sent sent, Handler&& handler) const {
    const bool interleaved = core.machine().interleaved();
    bool more = false;
    cores.for_each([&](unsigned other) {
      if (other == core.id()) return;
      if (interleaved) {
        interrupt(core, other, handler, more);
      } else {
        core.send_ipi(other, handler, more);
      }
      more = sent == Sent::kTogether;
    });
    if (!interleaved) return;
    cores.for_each([&](unsigned c) { core.wait_until(core.machine().core(c).time()); });
  }

 private:
  template <class Handler>
  void interrupt(cpu::Core& core, unsigned other, Handler& handler, bool more) const {
    cpu::Core& target = core.machine().core(other);
    target.wait_until(core.time());  // who idles is woken by it
    const bool in_kernel = target.level() != 0;
    core.send_ipi(
        other,
        [&](cpu::Core& on) {
          const std::uint64_t saved = in_kernel ? protection_->exception_entry(on) : 0;
          handler(on);
          if (in_kernel) protection_->exception_return(on, saved);
        },
        more);
  }

  Protection* protection_ = nullptr;
};

}  // namespace kpksim::kernel
