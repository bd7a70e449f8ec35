#pragma once
// Other programs, run for what they are better at.

#include <optional>
#include <string>
#include <vector>

namespace kpksim::app {

struct Finished {
  int status = 0;  // as a shell has it: 128 and the signal's number if one ended it
  std::string output, errors;
};

// Runs `command`, whose first part is looked for in PATH unless it has a '/', with `input` on its
// standard input. Nothing: there is no such program. OutputError: no room for what goes between.
std::optional<Finished> run_program(const std::vector<std::string>& command,
                                    const std::string& input);

}  // namespace kpksim::app
