#pragma once
// An exception that the kernel takes from itself (arm64's el1_abort() with kernel_entry and
// kernel_exit): the register of keys is saved, and given back behind the handler.

#include <type_traits>

#include "sim/cpu/core.h"
#include "sim/kernel/system.h"

namespace kpksim::kernel {

template <class Handler>
auto from_kernel(System& system, cpu::Core& core, Handler&& handler) {
  core.take_exception();
  const std::uint64_t saved = system.protection->exception_entry(core);
  if (system.taps.observer != nullptr) system.taps.observer->handling(core);
  const auto leave = [&] {
    system.protection->exception_return(core, saved);
    core.eret(1);
  };
  if constexpr (std::is_void_v<decltype(handler())>) {
    handler();
    leave();
  } else {
    const auto result = handler();
    leave();
    return result;
  }
}

}  // namespace kpksim::kernel
