// kpksim sweep status, export, best and merge: what is asked of stores.

#include <fmt/core.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "app/command_line.h"
#include "app/sweep.h"
#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/base/printable.h"
#include "sim/sweep/condition.h"
#include "sim/sweep/pareto.h"
#include "sim/sweep/totals.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
using nlohmann::json;

struct Query {
  std::vector<std::string> stores;
  std::string format, output;
  std::vector<std::string> by, keep;
};

// Of one store; false: only the help was asked for.
bool parse(const std::vector<std::string>& arguments, po::options_description& options,
           const char* examples, Query& query) {
  if (!read_command_line(arguments, options, examples,
                         {{"file", texts_option("STORE", query.stores), -1}}))
    return false;
  if (query.stores.empty()) throw InputError("no store given; expected STORE.sqlite");
  return true;
}

sweep::Store only_store(const Query& query) {
  if (query.stores.size() > 1)
    throw InputError("expected one store; kpksim sweep merge joins them");
  return sweep::Store::read(query.stores[0]);
}

std::string plain(const json& value) {
  return value.is_string() ? value.get<std::string>() : dump(value);
}

// Lines of columns two spaces apart: `right` columns from `first` on end, all others begin, below
// each other.
std::string aligned(const std::vector<std::vector<std::string>>& lines, std::size_t first,
                    std::size_t right) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string out;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (i != 0) out += "  ";
      if (i >= first && i < first + right) {
        out += fmt::format("{:>{}}", line[i], widths[i]);
      } else if (i + 1 == line.size()) {
        out += line[i];
      } else {
        out += fmt::format("{:<{}}", line[i], widths[i]);
      }
    }
    out += "\n";
  }
  return out;
}

void export_csv(sweep::Store& store) {
  // Which columns there are, all rows say together.
  std::vector<std::string> settings;
  std::set<std::string> totals;
  store.each([&](const sweep::Row& row) {
    if (settings.empty()) {
      const nlohmann::ordered_json config = sweep::ordered(row.config);
      for (const auto& [key, value] : config["point"].items()) settings.push_back(key);
    }
    for (const auto& [name, value] : sweep::flat(row.totals)) totals.insert(name);
  });
  std::cout << "point";
  for (const std::string& key : settings) std::cout << "," << csv_field(key);
  std::cout << ",hash,error";
  for (const std::string& name : totals) std::cout << "," << csv_field(name);
  std::cout << "\n";
  store.each([&](const sweep::Row& row) {
    const json config = json::parse(row.config);
    std::cout << row.point;
    for (const std::string& key : settings) {
      std::cout << "," << csv_field(plain(config["point"].value(key, json(""))));
    }
    std::cout << "," << row.hash << "," << csv_field(row.error);
    const auto values = sweep::flat(row.totals);
    for (const std::string& name : totals) {
      const auto value = values.find(name);
      std::cout << ","
                << (row.failed()            ? ""
                    : value == values.end() ? "0"
                                            : csv_field(value->second));
    }
    std::cout << "\n";
  });
}

void export_lines(sweep::Store& store) {
  store.each([&](const sweep::Row& row) {
    std::cout << fmt::format(R"({{"point":{},"hash":"{}","version":{},"config":{},)", row.point,
                             row.hash, dump(json(store.identity().version)), row.config);
    std::cout << (row.failed() ? fmt::format("\"error\":{}", dump(json(row.error)))
                               : fmt::format("\"totals\":{}", row.totals))
              << "}\n";
  });
}

// What is to be small, or large ("NAME:max").
struct Objective {
  std::string name;
  bool most = false;
};
Objective objective_of(const std::string& text) {
  constexpr std::string_view kMost = ":max";
  if (!text.ends_with(kMost)) return {text};
  return {text.substr(0, text.size() - kMost.size()), true};
}

// Totals and settings of a row by their names.
std::map<std::string, std::string> values_of(const sweep::Row& row) {
  std::map<std::string, std::string> values = sweep::flat(row.totals);
  const json config = json::parse(row.config);
  for (const auto& [key, value] : config["point"].items()) values[key] = plain(value);
  return values;
}

void best(sweep::Store& store, const std::vector<Objective>& objectives,
          const std::vector<sweep::Condition>& conditions) {
  std::set<std::string> known;
  sweep::ParetoFront front;
  store.each([&](const sweep::Row& row) {
    if (row.failed()) return;
    const auto values = values_of(row);
    for (const auto& [name, value] : values) known.insert(name);
    // What a row has not, such as an event that never came, was counted 0 times.
    const auto value_of = [&](const std::string& name) {
      const auto found = values.find(name);
      return found == values.end() ? "0" : found->second;
    };
    for (const sweep::Condition& c : conditions) {
      if (!c.holds(value_of(c.name), "--keep")) return;
    }
    std::vector<double> numbers;
    numbers.reserve(objectives.size());
    for (const Objective& o : objectives) {
      const auto number = sweep::number(value_of(o.name));
      if (!number) throw InputError(fmt::format("--by: '{}' is no number", o.name));
      numbers.push_back(o.most ? -*number : *number);
    }
    front.add(row.point, std::move(numbers));
  });
  const std::vector<std::string> names(known.begin(), known.end());
  const auto check = [&](const char* option, const std::string& name) {
    if (!known.empty() && !known.contains(name)) {
      throw InputError(fmt::format("{}: no point has '{}'{}", option, name, suggest(name, names)));
    }
  };
  for (const Objective& o : objectives) check("--by", o.name);
  for (const sweep::Condition& c : conditions) check("--keep", c.name);
  std::vector<sweep::ParetoFront::Member> members = front.members();
  std::map<sweep::Point, std::vector<std::string>> settings;
  for (const auto& m : members) settings[m.point] = {};
  store.each([&](const sweep::Row& row) {
    const auto found = settings.find(row.point);
    if (found == settings.end()) return;
    const nlohmann::ordered_json config = sweep::ordered(row.config);
    for (const auto& [key, value] : config["point"].items()) {
      found->second.push_back(
          fmt::format("{}={}", key, printable(plain(json::parse(value.dump())))));
    }
  });
  std::vector<std::vector<std::string>> lines(1, {"point"});
  for (const Objective& o : objectives) lines[0].push_back(printable(o.name));
  for (const auto& m : members) {
    std::vector<std::string> line{std::to_string(m.point)};
    for (std::size_t i = 0; i < objectives.size(); ++i) {
      line.push_back(fmt::format("{}", objectives[i].most ? -m.objectives[i] : m.objectives[i]));
    }
    for (const std::string& setting : settings[m.point]) line.push_back(setting);
    lines.push_back(std::move(line));
  }
  std::cout << aligned(lines, 1, objectives.size());
}

}  // namespace

int sweep_status(const std::vector<std::string>& arguments) {
  Query query;
  po::options_description options(
      "kpksim sweep status STORE...\n"
      "How far a sweep is, also while it runs: points done, failed (with their errors) and "
      "missing");
  if (!parse(arguments, options, "  kpksim sweep status tlb.sqlite\n", query)) return 0;
  for (const std::string& path : query.stores) {
    sweep::Store store = sweep::Store::read(path);
    const sweep::Identity& id = store.identity();
    const sweep::Counts counts = store.counts();
    std::cout << fmt::format("{}: {} (version {}): {} of {} points are done, {} of them failed\n",
                             printable(path), id.name, id.version, counts.done, id.points,
                             counts.failed);
    if (counts.done < id.points) {
      std::cout << fmt::format("  missing: {}\n", missing_text(store));
    }
    if (counts.failed == 0) continue;
    constexpr std::size_t kMostErrors = 10;
    std::map<std::string, std::pair<sweep::Point, std::uint64_t>> errors;  // first point, how many
    store.each([&](const sweep::Row& row) {
      if (!row.failed()) return;
      auto found = errors.find(row.error);
      if (found == errors.end()) {
        if (errors.size() == kMostErrors) return;
        found = errors.emplace(row.error, std::pair{row.point, 0}).first;
      }
      ++found->second.second;
    });
    for (const auto& [error, which] : errors) {
      std::cout << fmt::format("  {} failed, first {}: {}\n", which.second, which.first,
                               printable(error));
    }
  }
  return 0;
}

int sweep_export(const std::vector<std::string>& arguments) {
  Query query;
  po::options_description options(
      "kpksim sweep export [options] STORE\n"
      "All points, in their order: settings, hash, error and totals. A count that a point has not\n"
      "is 0. In JSON lines each point has its whole configuration");
  options.add_options()(
      "format,f", choice_option("--format", query.format, {"csv", "jsonl"})->default_value("csv"),
      "csv or jsonl");
  if (!parse(arguments, options,
             "  kpksim sweep export tlb.sqlite > tlb.csv\n"
             "  kpksim sweep export -f jsonl tlb.sqlite | jq .totals.cycles.total\n",
             query))
    return 0;
  sweep::Store store = only_store(query);
  query.format == "csv" ? export_csv(store) : export_lines(store);
  return 0;
}

int sweep_best(const std::vector<std::string>& arguments) {
  Query query;
  po::options_description options(
      "kpksim sweep best [options] STORE\n"
      "The points of which none is better than another in everything that --by and --keep name\n"
      "(the Pareto front). Names are columns of kpksim sweep export");
  options.add_options()("by", texts_option("--by", query.by),
                        "a total that is to be small, or large with ':max' behind it; repeatable")(
      "keep", texts_option("--keep", query.keep),
      "another total that is to be small, or a condition on points, such as "
      "cycles.total<=2e9, policy:/allocator/reserve=8 or one of several, policy=A|B; repeatable");
  if (!parse(arguments, options,
             "  kpksim sweep best --by cycles.total tlb.sqlite\n"
             "  kpksim sweep best --by cycles.total --keep allocator.cached pba.sqlite\n",
             query))
    return 0;
  if (query.by.empty()) throw InputError("--by: expected a total, for example cycles.total");
  std::vector<Objective> objectives;
  std::vector<sweep::Condition> conditions;
  for (const std::string& text : query.by) objectives.push_back(objective_of(text));
  for (const std::string& text : query.keep) {
    if (auto condition = sweep::condition_of(text)) {
      conditions.push_back(*condition);
    } else {
      objectives.push_back(objective_of(text));
    }
  }
  sweep::Store store = only_store(query);
  best(store, objectives, conditions);
  return 0;
}

int sweep_merge(const std::vector<std::string>& arguments) {
  Query query;
  po::options_description options(
      "kpksim sweep merge -o STORE STORE...\n"
      "Joins the stores of a sweep's shards. Doing it again changes nothing; a store of another\n"
      "sweep is refused. Exit status 1: points are missing");
  options.add_options()("output,o", text_option("--output", query.output),
                        "store that they are merged into; it may be there already");
  if (!parse(arguments, options, "  kpksim sweep merge -o tlb.sqlite tlb.*-of-8.sqlite\n", query)) {
    return 0;
  }
  if (query.output.empty()) throw InputError("--output: expected the store to merge into");
  const sweep::Identity identity = sweep::Store::read(query.stores[0]).identity();
  sweep::Store store = sweep::Store::open(query.output, identity);
  store.merge(query.stores);
  const sweep::Counts counts = store.counts();
  std::cout << fmt::format("{}: {} of {} points are done, {} of them failed\n", identity.name,
                           counts.done, identity.points, counts.failed);
  if (counts.done == identity.points) return 0;
  std::cout << fmt::format("missing: {}\n", missing_text(store));
  return 1;
}

}  // namespace kpksim::app
