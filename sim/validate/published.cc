#include "sim/validate/published.h"

#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/json_file.h"
#include "sim/base/json_text.h"

namespace kpksim::validate {
namespace {

using nlohmann::json;

class PublishedReader {
 public:
  explicit PublishedReader(const std::string& path) : json_(path) {}

  Published read() {
    const json& root = json_.root();
    Published out;
    each(root, "", "tables", [&](const json& table, const std::string& at) {
      out.tables.push_back(read_table(table, at));
    });
    if (out.tables.empty()) fail("/tables", "nothing to compare: expected at least one table");
    if (root.contains("absolute")) {
      each(root["absolute"], "/absolute", "rows", [&](const json& row, const std::string& at) {
        out.absolute.push_back(read_absolute(row, at));
      });
    }
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& at, const std::string& what) const {
    json_.fail(at, what);
  }

  const json& member(const json& object, const std::string& at, const char* name) const {
    if (!object.is_object() || !object.contains(name)) fail(at + "/" + name, "missing");
    return object[name];
  }
  std::string text(const json& object, const std::string& at, const char* name) const {
    const json& value = member(object, at, name);
    if (!value.is_string()) fail(at + "/" + name, "expected a string, found " + dump(value));
    return value.get<std::string>();
  }
  double number(const json& object, const std::string& at, const char* name) const {
    const json& value = member(object, at, name);
    if (!value.is_number()) fail(at + "/" + name, "expected a number, found " + dump(value));
    return value.get<double>();
  }
  template <class Use>
  void each(const json& object, const std::string& at, const char* name, Use use) const {
    const json& list = member(object, at, name);
    if (!list.is_array()) fail(at + "/" + name, "expected an array");
    for (std::size_t i = 0; i < list.size(); ++i) {
      use(list[i], fmt::format("{}/{}/{}", at, name, i));
    }
  }

  PublishedTable read_table(const json& table, const std::string& at) const {
    PublishedTable out;
    out.id = text(table, at, "id");
    out.keyed = text(table, at, "set_memory_pkey") != "no-op";
    each(table, at, "rows", [&](const json& row, const std::string& where) {
      for (const bool batched : {false, true}) {
        const char* const column = batched ? "with_batching" : "without_batching";
        const json& from = member(row, where, column);
        Cell cell = cell_of(text(row, where, "benchmark"), text(row, where, "class"), where);
        cell.batched = batched;
        cell.overhead = number(from, where + "/" + column, "overhead_percent");
        const json& significant = member(from, where + "/" + column, "significant");
        if (!significant.is_boolean()) {
          fail(where + "/" + column + "/significant", "expected true or false");
        }
        cell.significant = significant.get<bool>();
        out.cells.push_back(std::move(cell));
      }
    });
    return out;
  }

  // The benchmark of a row, by the names of the tables.
  Cell cell_of(const std::string& benchmark, const std::string& what, const std::string& at) const {
    Cell cell;
    if (benchmark == "mmtests/kernbench") {
      cell.run = kKernbench;
      const std::string first = what.substr(0, what.find(' '));
      if (first == "real" || first == "elapsed") {
        cell.measure = Measure::kAll;
      } else if (first == "system") {
        cell.measure = Measure::kSystem;
      } else if (first == "user") {
        cell.measure = Measure::kUser;
      } else {
        fail(at + "/class", fmt::format("'{}' is not a time that kernbench reports{}", what,
                                        suggest(first, {"real", "system", "user", "elapsed"})));
      }
      cell.label = "kernbench " + first;
      return cell;
    }
    const std::vector<std::string> known = {"mmtests/kernbench", "micromm/fork", "micromm/munmap",
                                            "micromm/vmalloc"};
    if (std::find(known.begin(), known.end(), benchmark) == known.end()) {
      fail(at + "/benchmark",
           fmt::format("'{}' is not a benchmark{}", benchmark, suggest(benchmark, known)));
    }
    cell.about_page_tables = benchmark == "micromm/fork" || benchmark == "micromm/munmap";
    for (const auto& [name, run, label] : kClasses) {
      if (what != name) continue;
      cell.run = run;
      cell.label = label;
      return cell;
    }
    std::vector<std::string> classes;
    for (const Class& c : kClasses) classes.emplace_back(c.name);
    fail(at + "/class",
         fmt::format("'{}' is not a class of {}{}", what, benchmark, suggest(what, classes)));
  }

  AbsoluteTime read_absolute(const json& row, const std::string& at) const {
    AbsoluteTime out;
    const std::string what = text(row, at, "class");
    const std::size_t loops = what.rfind(", l:");
    if (loops == std::string::npos) fail(at + "/class", "expected the rounds, as in ', l:500000'");
    const Cell cell = cell_of("micromm/vmalloc", what.substr(0, loops), at);
    out.label = cell.label;
    out.run = cell.run;
    const char* const end = what.data() + what.size();
    if (const auto parsed = std::from_chars(what.data() + loops + 4, end, out.rounds);
        parsed.ptr != end || out.rounds < 1) {
      fail(at + "/class", "expected the rounds, as in ', l:500000'");
    }
    out.usec = number(row, at, "usec");
    return out;
  }

  struct Class {
    const char *name, *run, *label;
  };
  static constexpr Class kClasses[] = {
      {"fork: h:0", "fork-h0", "fork h:0"},
      {"fork: h:1", "fork-h1", "fork h:1"},
      {"munmap: h:0", "munmap-h0", "munmap h:0"},
      {"munmap: h:1", "munmap-h1", "munmap h:1"},
      {"fix_size_alloc_test: p:1, h:0", "vmalloc-p1-h0", "vmalloc p:1 h:0"},
      {"fix_size_alloc_test: p:4, h:0", "vmalloc-p4-h0", "vmalloc p:4 h:0"},
      {"fix_size_alloc_test: p:16, h:0", "vmalloc-p16-h0", "vmalloc p:16 h:0"},
      {"fix_size_alloc_test: p:64, h:0", "vmalloc-p64-h0", "vmalloc p:64 h:0"},
      {"fix_size_alloc_test: p:256, h:0", "vmalloc-p256-h0", "vmalloc p:256 h:0"},
      {"fix_size_alloc_test: p:16, h:1", "vmalloc-p16-h1", "vmalloc p:16 h:1"},
      {"fix_size_alloc_test: p:64, h:1", "vmalloc-p64-h1", "vmalloc p:64 h:1"},
      {"fix_size_alloc_test: p:256, h:1", "vmalloc-p256-h1", "vmalloc p:256 h:1"},
      {"random_size_alloc_test: p:1, h:0", "vmalloc-random", "vmalloc random"},
      {"vm_map_ram_test: p:1, h:0", "vm-map-ram", "vm_map_ram"},
  };

  const JsonFile json_;
};

}  // namespace

Published read_published(const std::string& path) { return PublishedReader(path).read(); }

}  // namespace kpksim::validate
