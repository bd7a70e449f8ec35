#pragma once
// Why the kernel model's counts are off where they are known to be: printed beside them. A reason
// changes no verdict.

#include <string>
#include <vector>

namespace kpksim::validate {

struct Reason {
  std::vector<std::string> counters;
  std::vector<std::string> phases;  // none: in every phase
  std::string text;
};

// Reads a JSON list of {"counters": [...], "phases": [...], "reason": "..."}. InputError names the
// file and the JSON pointer.
std::vector<Reason> read_reasons(const std::string& path);

// The first that fits, or "".
std::string reason_for(const std::vector<Reason>& reasons, const std::string& counter,
                       const std::string& phase);

}  // namespace kpksim::validate
