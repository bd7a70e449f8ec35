#pragma once
// The points of a sweep as simulations: what a point's settings stand for, and the row that its run
// gives. What points share is read once.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/options.h"
#include "app/recent.h"
#include "app/request.h"
#include "sim/base/json_file.h"
#include "sim/keys/choice.h"
#include "sim/sweep/spec.h"
#include "sim/sweep/store.h"

namespace kpksim::app {

class Points {
 public:
  // Reads all files that the points name. InputError if one of them cannot be read, or if the first
  // points cannot be prepared: a setting that matches nothing, say.
  // `check`: each run is watched by the sanitizer, and its totals have "findings", how many kinds
  // there were (docs/checking.md).
  explicit Points(const sweep::Spec& spec, bool check = false);

  // For stores, with all that was read.
  sweep::Identity identity() const;
  // Any thread may call. What is wrong with a point is its row's error.
  sweep::Row evaluate(sweep::Point number);

 private:
  struct Prepared;

  void read_inputs();
  void refuse_if_nothing_matches();
  void prepare(const std::vector<sweep::Assignment>& assignments, Prepared& out);
  void prepare_classes(const std::string& name, const std::vector<Setting>& settings,
                       Prepared& out);
  nlohmann::ordered_json run(const Prepared& prepared, kernel::Config config) const;
  nlohmann::ordered_json totals(const Prepared& prepared);
  nlohmann::ordered_json totals_of_keys(const Prepared& prepared);
  std::shared_ptr<const workload::Workload> read(const std::string& name,
                                                 const std::vector<Setting>& settings,
                                                 const Machine& machine);

  const sweep::Spec& spec_;
  const bool check_;
  std::map<std::string, std::string> inputs_;  // "core:neoverse-v1" -> its text
  std::map<std::string, std::string> hashes_;  // of these
  std::map<std::string, ProfileReader> cores_, kernels_;
  std::map<std::string, std::shared_ptr<const JsonFile>> documents_;  // of workloads
  std::map<std::string, ClassesFile> classes_;
  Recent<cpu::CoreProfile> read_cores_;
  Recent<kernel::KernelProfile> read_kernels_;
  Recent<workload::Workload> read_workloads_;
  Recent<kernel::Classes> read_classes_;
  // What points with protected classes measure first, whatever their budgets and strategies.
  Recent<std::vector<nlohmann::ordered_json>> measured_;
};

}  // namespace kpksim::app
