#include "sim/report/page/uncertain.h"

#include <fmt/core.h>

namespace kpksim::report::page {

namespace {

constexpr const char* kInterval = "5th percentile, median and 95th of the draws";

}  // namespace

Uncertain::Uncertain(const Json& document, std::size_t index) {
  const auto it = document.find("uncertainty");
  if (it == document.end() || index >= it->size()) return;
  json_ = &(*it)[index];
  at_ = fmt::format("/uncertainty/{}", index);
}

const Json* Uncertain::phase(const std::string& name, std::string& at) const {
  if (json_ == nullptr) return nullptr;
  const Json& phases = (*json_)["phases"];
  for (std::size_t p = 0; p < phases.size(); ++p) {
    if (phases[p]["name"] != name) continue;
    at = fmt::format("{}/phases/{}", at_, p);
    return &phases[p];
  }
  return nullptr;
}

void Uncertain::interval(Sentence& sentence, const std::string& policy) const {
  std::string at;
  const Json* const total = phase("total", at);
  if (total == nullptr) return;
  const Json& policies = (*total)["policies"];
  for (std::size_t i = 0; i < policies.size(); ++i) {
    if (policies[i]["policy"] != policy || !policies[i].contains("overhead_percent")) continue;
    const Json& range = policies[i]["overhead_percent"];
    at += fmt::format("/policies/{}/overhead_percent", i);
    sentence.say(" with the core's own numbers, and ");
    sentence.number(
        fmt::format("{:+.2f} to {:+.2f} %", range[0].get<double>(), range[2].get<double>()), {at},
        kInterval);
    sentence.say(" in nine of ten draws of those that nobody has measured");
  }
}

void Uncertain::bars(Series& series) const {
  std::string at;
  const Json* const of = phase(series.name, at);
  if (of == nullptr) return;
  const Json& policies = (*of)["policies"];
  if (policies.size() != series.values.size() + 1) return;
  for (std::size_t i = 1; i < policies.size(); ++i) {
    if (!policies[i].contains("overhead_percent")) continue;
    series.low.push_back(policies[i]["overhead_percent"][0].get<double>());
    series.high.push_back(policies[i]["overhead_percent"][2].get<double>());
    series.at[i - 1].push_back(fmt::format("{}/policies/{}/overhead_percent", at, i));
  }
  if (series.low.size() != series.values.size()) series.low.clear(), series.high.clear();
}

std::string Uncertain::note() const {
  if (json_ == nullptr) return "";
  return fmt::format(
      "A line spans nine of ten of {} draws of the core's estimated numbers from their ranges. ",
      (*json_)["draws"].get<std::uint64_t>());
}

std::vector<Json> Uncertain::findings() const {
  std::string at;
  const Json* const total = phase("total", at);
  if (total == nullptr) return {};
  const auto draws = (*json_)["draws"].get<std::uint64_t>();
  std::vector<Json> out;
  bool open = false;
  const Json& pairs = (*total)["pairs"];
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto n = pairs[i]["draws"].get<std::uint64_t>();
    // Each pair is there both ways round: the one that holds more often speaks for both.
    if (n >= draws || n * 2 < draws || n == 0) continue;
    open = true;
    Sentence s;
    s.say("The order depends on numbers that nobody has measured: ");
    s.name(pairs[i]["policy"].get<std::string>()).say(" needs fewer cycles than ");
    s.name(pairs[i]["beats"].get<std::string>()).say(" in ");
    s.number(n, {fmt::format("{}/pairs/{}/draws", at, i)});
    s.say(" of ").number(draws, {at_ + "/draws"}).say(" draws.");
    out.push_back(s.json());
  }
  if (!open && draws != 0) {
    Sentence s;
    s.say("Which policy needs fewer cycles is the same in all ").number(draws, {at_ + "/draws"});
    out.push_back(
        s.say(" draws of the numbers that nobody has measured, or they are equal.").json());
  }
  return out;
}

}  // namespace kpksim::report::page
