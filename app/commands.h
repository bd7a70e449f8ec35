#pragma once
// All commands: the table that the list of commands, their help, the manual and completion are
// from.

#include <string>
#include <vector>

#include "app/command_line.h"

namespace kpksim::app {

const std::vector<CommandInfo>& commands();
// InputError with the nearest name: there is none of this name.
const CommandInfo& command_named(const std::string& name);

// What `kpksim help` prints.
std::string usage();

// What an exit status says, in their order from 0 on.
struct ExitStatus {
  int status;
  const char* says;
};
const std::vector<ExitStatus>& exit_statuses();
constexpr const char* kOneExample =
    "kpksim compare -p none,buddy,pte -p kpkeys-poe+lazy,pba,block fork-1g";

int help(std::vector<std::string> about);
int man(const std::vector<std::string>& arguments);
int completion(const std::vector<std::string>& arguments);

}  // namespace kpksim::app
