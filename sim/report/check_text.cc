#include "sim/report/check_text.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "sim/report/text_table.h"

namespace kpksim::report {

using nlohmann::ordered_json;

namespace {

std::string times(std::uint64_t n) { return n == 1 ? "" : fmt::format(" ({} times)", grouped(n)); }

std::string finding_text(const ordered_json& finding) {
  const auto phase = finding["phase"].get<std::string>();
  std::string out =
      fmt::format("{}: {}{}\n    core {}, {}{}\n", finding["rule"].get<std::string>(),
                  finding["text"].get<std::string>(), times(finding["count"].get<std::uint64_t>()),
                  finding["core"].get<unsigned>(), finding["cause"].get<std::string>(),
                  phase.empty() ? "" : fmt::format(", phase {}", phase));
  for (const ordered_json& line : finding.value("history", ordered_json::array())) {
    out += "    " + line.get<std::string>() + "\n";
  }
  return out;
}

}  // namespace

std::uint64_t findings(const std::vector<ordered_json>& runs) {
  std::uint64_t n = 0;
  for (const ordered_json& run : runs) {
    if (run.contains("check")) n += run["check"]["findings"].size();
  }
  return n;
}

std::string check_text(const ordered_json& run, const std::string& policy,
                       const TableStyle& style) {
  std::string out;
  for (const ordered_json& fault : run.value("injections", ordered_json::array())) {
    out += wrapped(fmt::format("injected: {}, {} of {} times that its site was reached",
                               fault["fault"].get<std::string>(),
                               grouped(fault["injected"].get<std::uint64_t>()),
                               grouped(fault["occurrences"].get<std::uint64_t>())),
                   style);
  }
  const auto check = run.find("check");
  if (check == run.end()) return out;
  const ordered_json& findings = (*check)["findings"];
  out += wrapped(findings.empty() ? fmt::format("checked: nothing is wrong under {}", policy)
                                  : fmt::format("checked: {} under {}",
                                                findings.size() == 1
                                                    ? std::string("1 finding")
                                                    : fmt::format("{} findings", findings.size()),
                                                policy),
                 style);
  for (const ordered_json& finding : findings) {
    const std::string text = finding_text(finding);
    out += style.colour ? "\033[1;31m" + text + "\033[0m" : text;
  }
  for (const ordered_json& hint : (*check)["hints"]) {
    out += wrapped(fmt::format("hint: {}: {}, for {}{}", hint["rule"].get<std::string>(),
                               hint["text"].get<std::string>(), hint["cause"].get<std::string>(),
                               times(hint["count"].get<std::uint64_t>())),
                   style);
  }
  return out;
}

std::string with_findings(const std::string& what, const check::Report& report) {
  std::string out = what;
  for (const check::Finding& f : report.findings()) {
    out += fmt::format("; before that {}: {}{}", check::info(f.rule).name, f.text, times(f.count));
  }
  return out;
}

}  // namespace kpksim::report
