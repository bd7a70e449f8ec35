#pragma once
// Where the kernel model can be watched and broken: one for each System.

#include "sim/kernel/injector.h"
#include "sim/kernel/observer.h"

namespace kpksim::kernel {

struct Taps {
  Injector injector;
  Observer* observer = nullptr;
};

}  // namespace kpksim::kernel
