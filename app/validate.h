#pragma once
// The parts of kpksim validate, one file each.

#include <string>
#include <vector>

namespace kpksim::app {

int validate_published(const std::vector<std::string>& arguments);

}  // namespace kpksim::app
