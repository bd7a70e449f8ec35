#pragma once
// The parts of kpksim validate, one file each.

#include <boost/program_options.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "sim/cpu/profile.h"

namespace kpksim::app {

// The core profiles of the CPU models that real kernels were measured on, by QEMU's names.
std::map<std::string, cpu::CoreProfile> measured_cores();

// The options that validate kernel and validate apps share.
struct CountsRequest {
  bool all = false, quiet = false;
  std::uint64_t max_off = 0;
  unsigned jobs = 1;
};
void add_counts_options(boost::program_options::options_description& options,
                        CountsRequest& request);

// kernel, apps and published.
const std::vector<CommandInfo>& validate_parts();
int validate_published(const std::vector<std::string>& arguments);

}  // namespace kpksim::app
