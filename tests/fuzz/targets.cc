#include "tests/fuzz/targets.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "sim/attack/scenario.h"
#include "sim/base/error.h"
#include "sim/base/json_document.h"
#include "sim/base/json_file.h"
#include "sim/base/setting.h"
#include "sim/base/text_input.h"
#include "sim/conform/replay.h"
#include "sim/cpu/profile.h"
#include "sim/kernel/object/classes.h"
#include "sim/kernel/policy.h"
#include "sim/kernel/policy_file.h"
#include "sim/kernel/profile.h"
#include "sim/report/diff.h"
#include "sim/report/explain.h"
#include "sim/report/schema.h"
#include "sim/sweep/spec.h"
#include "sim/workload/json.h"
#include "sim/workload/strace.h"

namespace kpksim::test {
namespace {

// A line each, so that a finding in one does not hide behind the refusal of another.
template <class Parse>
void each_line(const std::string& path, Parse&& parse) {
  const std::string text = read_text_file(path);
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    try {
      parse(text.substr(begin, end - begin));
    } catch (const InputError&) {
    }
    begin = end + 1;
  }
}

void result(const std::string& path) {
  const nlohmann::ordered_json document = read_json_document(path, report::kResultSchema).root();
  report::differences(document, document, true);
  report::explain(document, {}, {});
}

void sweep(const std::string& path) {
  const sweep::Spec spec(path);
  for (const sweep::Point point : {sweep::Point{0}, spec.points() / 2, spec.points() - 1}) {
    if (point < spec.points()) spec.settings(point);
  }
}

void vectors(const std::string& path) {
  conform::replay_file(path, {[](const std::string&) {}, [](const std::string&) {}});
}

}  // namespace

const std::vector<FuzzTarget>& fuzz_targets() {
  static const std::vector<FuzzTarget> targets = {
      {"workload", [](const std::string& path) { workload::read_json_workload(path); }},
      {"strace", [](const std::string& path) { workload::read_strace(path); }},
      {"vectors", vectors},
      {"core", [](const std::string& path) { cpu::read_core_profile(path); }},
      {"kernel", [](const std::string& path) { kernel::read_kernel_profile(path); }},
      {"policy", [](const std::string& path) { each_line(path, kernel::parse_policy); }},
      {"policies", [](const std::string& path) { kernel::read_policies(path); }},
      {"setting", [](const std::string& path) { each_line(path, parse_setting); }},
      {"classes", [](const std::string& path) { kernel::read_classes(path); }},
      {"attack", [](const std::string& path) { attack::read_scenario(path); }},
      {"sweep", sweep},
      {"result", result},
  };
  return targets;
}

bool read_or_refuse(const FuzzTarget& target, const std::string& path) {
  try {
    target.read(path);
    return true;
  } catch (const InputError& e) {
    if (*e.what() == '\0') throw std::logic_error("refused without a word");
    return false;
  }
}

}  // namespace kpksim::test
