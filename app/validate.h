#pragma once
// The parts of kpksim validate, one file each.

#include <map>
#include <string>
#include <vector>

#include "sim/cpu/profile.h"

namespace kpksim::app {

// The core profiles of the CPU models that real kernels were measured on, by QEMU's names.
std::map<std::string, cpu::CoreProfile> measured_cores();

int validate_published(const std::vector<std::string>& arguments);

}  // namespace kpksim::app
