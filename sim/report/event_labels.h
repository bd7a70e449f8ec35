#pragma once
// What tables call events: by AArch64's names, or by those of the x86-64 instructions that the
// same counter counts there (sim/cpu/core.h says which). The document has one name for both.

#include <string_view>

#include "sim/cpu/statistics.h"

namespace kpksim::report {

std::string_view event_label(cpu::Event event, bool x86);

}  // namespace kpksim::report
