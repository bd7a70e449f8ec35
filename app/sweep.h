#pragma once
// The parts of kpksim sweep.

#include <string>
#include <vector>

#include "app/command_line.h"
#include "sim/sweep/store.h"

namespace kpksim::app {

// status, export, best and merge.
const std::vector<CommandInfo>& sweep_parts();
int sweep_status(const std::vector<std::string>& arguments);
int sweep_export(const std::vector<std::string>& arguments);
int sweep_best(const std::vector<std::string>& arguments);
int sweep_merge(const std::vector<std::string>& arguments);

// "points 3 to 5, 9 and others": which are missing, in words; empty if none is.
std::string missing_text(sweep::Store& store);

}  // namespace kpksim::app
