#pragma once
// Where the kernel model can be watched and broken: one for each System.

#include <cstdint>

#include "sim/kernel/injector.h"
#include "sim/kernel/observer.h"

namespace kpksim::kernel {

struct Taps {
  Injector injector;
  Observer* observer = nullptr;
  // What the activity that runs is at, the innermost; of one that has been left it is kept with it.
  const Span* innermost = nullptr;
  std::uint64_t spans = 0;  // so far
};

}  // namespace kpksim::kernel
