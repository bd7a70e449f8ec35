#include "sim/figure/records.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/base/json_text.h"
#include "sim/report/text_table.h"

namespace kpksim::figure {
namespace {

using nlohmann::ordered_json;

std::string plain(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void add_numbers(const ordered_json& part, const std::string& name,
                 std::map<std::string, double>& out) {
  for (const auto& [key, value] : part.items()) {
    const std::string full = name.empty() ? key : name + "." + key;
    if (value.is_object()) add_numbers(value, full, out);
    if (value.is_number()) out[full] = value.get<double>();
  }
}

// A part of a policy has a name and parameters: {"name": "pba", "keep": "16"} is "allocator" and
// "allocator.keep".
void add_attributes(const ordered_json& part, const std::string& name,
                    std::map<std::string, std::string>& out) {
  for (const auto& [key, value] : part.items()) {
    const std::string full = name.empty() ? key : key == "name" ? name : name + "." + key;
    if (value.is_object()) {
      add_attributes(value, full, out);
    } else if (!value.is_array()) {
      out[full] = plain(value);
    }
  }
}

Record record_of(const ordered_json& run) {
  Record out;
  const ordered_json& configuration = run["configuration"];
  add_attributes(configuration, "", out.attributes);
  out.attributes.erase("policy_name");
  // Rows of several documents differ in more than the policy.
  out.keys = {{"workload", run["workload"]["name"].get<std::string>()},
              {"policy", report::policy_name(run)}};
  for (const char* key : {"core", "kernel", "cores", "memory_bytes", "hz", "pressure_every"}) {
    if (configuration.contains(key)) out.keys[key] = plain(configuration[key]);
  }
  if (!configuration["inject"].empty()) out.keys["inject"] = configuration["inject"].dump();
  for (const auto& [key, value] : out.keys) out.attributes.erase(key);
  return out;
}

// The runs of one workload, of which the first is what others are compared with: a document has
// those of each workload one after the other, the policies in the same order.
bool same_workload(const ordered_json& a, const ordered_json& b) {
  return a["workload"]["name"] == b["workload"]["name"] &&
         a["workload"]["source"] == b["workload"]["source"];
}

const ordered_json* named(const ordered_json& list, const char* key, const std::string& name) {
  const auto found = std::find_if(list.begin(), list.end(),
                                  [&](const ordered_json& one) { return one[key] == name; });
  return found == list.end() ? nullptr : &*found;
}

// Of one phase or the total, beside that of the first run.
void add_overhead(const ordered_json& part, const ordered_json* first, const ordered_json* drawn,
                  Record& out) {
  if (first != nullptr && first->at("cycles")["total"] != 0) {
    out.totals["overhead"] =
        (part["cycles"]["total"].get<double>() / first->at("cycles")["total"].get<double>() - 1) *
        100;
  }
  if (drawn == nullptr) return;
  const auto interval = drawn->find("overhead_percent");
  if (interval == drawn->end()) {  // the first run itself
    out.totals["overhead.median"] = 0;
    return;
  }
  const Interval nine_of_ten{interval->at(0).get<double>(), interval->at(2).get<double>()};
  out.intervals["overhead"] = out.intervals["overhead.median"] = nine_of_ten;
  out.totals["overhead.median"] = interval->at(1).get<double>();
}

}  // namespace

std::optional<std::string> Record::text(const std::string& name) const {
  for (const auto* part : {&keys, &attributes}) {
    if (const auto found = part->find(name); found != part->end()) return found->second;
  }
  return std::nullopt;
}

std::vector<Record> result_records(const ordered_json& document) {
  std::vector<Record> out;
  const ordered_json& runs = document["runs"];
  const auto draws = document.find("uncertainty");
  std::size_t first = 0, group = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const ordered_json& run = runs[i];
    if (!same_workload(runs[first], run) ||
        (i > first && run["configuration"] == runs[first]["configuration"])) {
      first = i;
      ++group;
    }
    const ordered_json none = ordered_json::array();
    const ordered_json& drawn_phases =
        draws != document.end() && group < draws->size() ? draws->at(group)["phases"] : none;
    const auto add = [&](const ordered_json& part, const ordered_json* of_first,
                         const std::string& phase) {
      Record record = record_of(run);
      record.keys[kPhase] = phase;
      add_numbers(part, "", record.totals);
      // A workload of one phase has draws of the total alone.
      const bool whole = phase == kTotal || run["phases"].size() == 1;
      const ordered_json* const drawn = named(drawn_phases, "name", whole ? kTotal : phase);
      // Runs are in the same order there.
      add_overhead(part, of_first,
                   drawn != nullptr && i - first < drawn->at("policies").size()
                       ? &drawn->at("policies")[i - first]
                       : nullptr,
                   record);
      out.push_back(std::move(record));
    };
    for (const ordered_json& phase : run["phases"]) {
      const auto name = phase["name"].get<std::string>();
      add(phase, named(runs[first]["phases"], "name", name), name);
    }
    add(run["total"], &runs[first]["total"], kTotal);
  }
  return out;
}

namespace {

// Element `i` of each array, by the names of the objects around it.
void add_elements(const ordered_json& part, const std::string& name, std::size_t i,
                  std::map<std::string, double>& out) {
  for (const auto& [key, value] : part.items()) {
    const std::string full = name.empty() ? key : name + "." + key;
    if (value.is_object()) add_elements(value, full, i, out);
    if (value.is_array() && i < value.size()) out[full] = value[i].get<double>();
  }
}

}  // namespace

std::vector<Record> series_records(const ordered_json& document) {
  std::vector<Record> out;
  for (const ordered_json& run : document["runs"]) {
    std::uint64_t begin = 0;
    for (const ordered_json& phase : run["phases"]) {
      const auto series = phase.find("series");
      if (series == phase.end()) continue;
      const ordered_json& ends = (*series)["end_cycles"];
      for (std::size_t i = 0; i < ends.size(); ++i) {
        Record record = record_of(run);
        record.attributes[kPhase] = phase["name"].get<std::string>();
        record.keys[kTime] = std::to_string(begin + ends[i].get<std::uint64_t>());
        add_elements(*series, "", i, record.totals);
        record.totals.erase("end_cycles");
        out.push_back(std::move(record));
      }
      if (!ends.empty()) begin += ends.back().get<std::uint64_t>();
    }
  }
  return out;
}

std::vector<Record> sweep_records(const ordered_json& document) {
  std::vector<Record> out;
  for (const ordered_json& row : document["rows"]) {
    if (row.contains("error")) continue;
    Record record;
    for (const auto& [key, value] : row["settings"].items()) record.keys[key] = plain(value);
    add_numbers(row["totals"], "", record.totals);
    out.push_back(std::move(record));
  }
  return out;
}

std::vector<Record> keys_records(const ordered_json& document) {
  std::vector<Record> out;
  for (const ordered_json& row : document["rows"]) {
    if (row.contains("refused")) continue;
    Record record = record_of(document);
    record.keys["budget"] = plain(row["budget"]);
    record.keys["strategy"] = plain(row["strategy"]);
    add_numbers(row, "", record.totals);
    record.totals.erase("budget");
    out.push_back(std::move(record));
  }
  return out;
}

}  // namespace kpksim::figure
