#pragma once
// How many keys are enough: a workload's protected classes under each budget and strategy. Two runs
// come first: without keys for the classes, as what the others are compared with, and with a key
// for each class, to learn how long each context lasts. What that says is the demand that the
// strategies answer. Then each assignment runs.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/kernel/object/classes.h"
#include "sim/kernel/system.h"

namespace kpksim::keys {

class Budgets {
 public:
  // `base`: policy, machine, and no classes. InputError: a budget out of [2, 128].
  Budgets(kernel::Classes classes, kernel::Config base, std::vector<unsigned> budgets,
          std::vector<pkrs::Strategy> strategies);

  std::vector<kernel::Config> measuring() const;
  // With the documents of these two runs: one configuration for each assignment that is unlike
  // the others. A larger budget often changes nothing.
  std::vector<kernel::Config> trials(const std::vector<nlohmann::ordered_json>& measured);
  // With the documents of those. Schema: docs/keys.schema.json.
  nlohmann::ordered_json document(const std::vector<nlohmann::ordered_json>& runs) const;

  const pkrs::Demand& demand() const { return demand_; }

 private:
  struct Trial {
    pkrs::Assignment assignment;
    std::size_t run = 0;  // if it is not refused
  };
  kernel::Config with(bool unprotected, const pkrs::Assignment& assignment) const;

  const kernel::Classes classes_;
  const kernel::Config base_;
  const std::vector<unsigned> budgets_;
  const std::vector<pkrs::Strategy> strategies_;
  nlohmann::ordered_json unprotected_;
  pkrs::Demand demand_;
  std::vector<Trial> trials_;
};

// The answer in a sentence, from such a document: from which budget on nothing is gained.
std::string finding(const nlohmann::ordered_json& document);

}  // namespace kpksim::keys
