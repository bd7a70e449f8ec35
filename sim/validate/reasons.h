#pragma once
// Why the kernel model's counts are off where they are known to be: printed beside them. A reason
// changes no verdict.

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace kpksim::validate {

struct Reason {
  std::vector<std::string> counters;
  std::vector<std::string> phases;
  std::string text;
};

// Reads a JSON list of {"counters": [...], "phases": [...], "reason": "..."}. InputError names the
// file and the JSON pointer.
std::vector<Reason> read_reasons(const std::string& path);

// Keeps which of the reasons were needed.
class Reasons {
 public:
  explicit Reasons(std::vector<Reason> all) : all_(std::move(all)) {}
  // The text of the first that fits, or "".
  std::string of(const std::string& counter, const std::string& phase);
  // "isb, dsb_ish in PHASE" for each phase of a reason that was never asked for: it explains
  // nothing any more.
  std::vector<std::string> unused() const;

 private:
  std::vector<Reason> all_;
  std::set<std::pair<const Reason*, std::string>> used_;
};

}  // namespace kpksim::validate
