// Records of documents that judge: verdicts on attacks, counts and overheads beside real ones.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/figure/records.h"

namespace kpksim::figure {
namespace {

using nlohmann::ordered_json;

std::string text(const ordered_json& of, const char* key) { return of[key].get<std::string>(); }

// "outcome" and "no effect": the share outcome.no-effect.
void add_share(const std::string& name, const std::string& value,
               std::initializer_list<const char*> all, Record& out) {
  for (const char* one : all) {
    std::string total = name + "." + one;
    std::replace(total.begin(), total.end(), ' ', '-');
    out.totals[total] = value == one ? 100 : 0;
    out.shares.insert(total);
  }
  out.attributes[name] = value;
}

}  // namespace

std::vector<Record> attack_records(const ordered_json& document) {
  std::vector<Record> out;
  for (const ordered_json& scenario : document["scenarios"]) {
    for (const ordered_json& verdict : scenario["verdicts"]) {
      Record record;
      record.keys = {{"scenario", text(scenario, "name")}, {"policy", text(verdict, "policy")}};
      record.attributes = {{"core", text(document, "core")}, {"kernel", text(document, "kernel")}};
      record.totals["succeeded"] =
          100 * verdict["successes"].get<double>() / verdict["draws"].get<double>();
      record.shares.insert("succeeded");
      add_share("outcome", text(verdict, "outcome"),
                {"stopped", "allocator", "no effect", "no occasion", "not modelled", "succeeded"},
                record);
      out.push_back(std::move(record));
    }
  }
  return out;
}

std::vector<Record> validation_records(const ordered_json& document) {
  std::vector<Record> out;
  for (const ordered_json& count : document["counts"]) {
    Record record;
    for (const char* key : {"phase", "cpu", "variant", "kernel", "counter"})
      record.keys[key == std::string("phase") ? "measured" : key] = text(count, key);
    record.attributes["rule"] = text(count, "rule");
    double sum = 0;
    for (const ordered_json& reading : count["real"]) sum += reading.get<double>();
    record.totals["real"] = sum / static_cast<double>(count["real"].size());
    record.totals["model"] = count["model"].get<double>();
    add_share("verdict", text(count, "verdict"), {"exact", "within", "off"}, record);
    out.push_back(std::move(record));
  }
  return out;
}

std::vector<Record> apps_records(const ordered_json& document) {
  std::vector<Record> out;
  for (const ordered_json& replay : document["replays"]) {
    for (const ordered_json& count : replay["counts"]) {
      Record record;
      for (const char* key : {"program", "cpu", "variant"}) record.keys[key] = text(replay, key);
      record.keys["counter"] = text(count, "counter");
      record.keys["base"] = count.value("base", std::string("none"));
      for (const char* total : {"real", "model", "error_percent"})
        record.totals[total] = count[total].get<double>();
      add_share("verdict", text(count, "verdict"), {"exact", "within", "off"}, record);
      out.push_back(std::move(record));
    }
  }
  return out;
}

std::vector<Record> published_records(const ordered_json& document) {
  std::vector<Record> out;
  for (const ordered_json& table : document["tables"]) {
    for (const ordered_json& cell : table["cells"]) {
      Record record;
      record.keys = {{"table", text(table, "id")},
                     {"benchmark", text(cell, "benchmark")},
                     {"batched", cell["batched"].get<bool>() ? "yes" : "no"}};
      record.attributes = {{"significant", cell["significant"].get<bool>() ? "yes" : "no"},
                           {"core", text(document, "core")},
                           {"kernel", text(document, "kernel")}};
      const double published = cell["published"].get<double>(), model = cell["model"].get<double>();
      record.totals = {{"published", published}, {"model", model}, {"error", model - published}};
      add_share("verdict", text(cell, "verdict"), {"fitted", "near", "off", "far"}, record);
      out.push_back(std::move(record));
    }
  }
  return out;
}

}  // namespace kpksim::figure
