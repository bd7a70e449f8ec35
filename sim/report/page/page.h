#pragma once
// What a report shows, as data: chapters of findings, charts and tables. The page's scripts
// (report/) draw it; nothing here knows HTML. Every number carries the places of the document that
// it is read or computed from, as JSON pointers (RFC 6901), which tests follow.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kpksim::report::page {

using Json = nlohmann::ordered_json;
using Places = std::vector<std::string>;

// `places` from another place on: "/runs/1" and "/total/cycles" are "/runs/1/total/cycles".
Places below(const std::string& at, const Places& places);

// A number of a table: its value, by which rows are sorted, where it is from, and how it was
// computed (empty: it is the value there, or the sum of those). `shown`: how it is written; empty:
// grouped digits.
Json figure(const Json& value, const Places& at, const std::string& how = {},
            const std::string& shown = {});
Json percent(double value, const Places& at, const std::string& how);

// "+20.71 %".
std::string percent_text(double value);
// How much more `value` is than `base`, in percent. Not to be asked of a base of 0.
double percent_over(std::uint64_t value, std::uint64_t base);

// A sentence whose numbers are links to their places.
class Sentence {
 public:
  Sentence& say(const std::string& text);
  Sentence& name(const std::string& of);  // of a policy, a strategy: what the eye looks for
  Sentence& number(const std::string& shown, const Places& at, const std::string& how = {});
  Sentence& number(std::uint64_t n, const Places& at, const std::string& how = {});
  // "warning": something is wrong; the page says so in more than a colour.
  Json json(const std::string& weight = "plain") const;

 private:
  Json parts_ = Json::array();
};

// One series of a chart: a value for each category of the chart (or x of its own), with an interval
// if `low` and `high` are there.
struct Series {
  std::string name;
  std::vector<double> values = {}, low = {}, high = {}, x = {};
  std::vector<Places> at = {};
  std::string how = {};
  int slot = -1;        // of the palette; -1: the series' number
  bool hidden = false;  // until its name in the legend is clicked
};

struct Chart {
  std::string title, note;
  // "bars": a bar for each category and series; "stacked"; "dots": a row for each category, a mark
  // for each series; "lines" and "points": over numbers or categories.
  std::string form = "bars";
  std::string category_title, value_title;
  std::vector<std::string> categories;  // empty: series have x of their own
  std::vector<Series> series;
  bool log = false;  // begins with a logarithmic axis
  bool log_offered = true;
  Json json() const;
};

struct Row {
  std::string name, group = {};
  std::vector<Json> cells = {};
  std::string note = {};  // shown where the name is hovered or clicked
};

struct Table {
  std::string title, note, first;  // `first`: heading of the rows' names
  std::vector<std::string> columns;
  std::vector<Row> rows;
  bool folded = false;  // closed until it is clicked
  Json json() const;
};

// What does not fit into numbers: assumptions, notes.
struct Remarks {
  std::string title;
  std::vector<std::string> texts;
  bool folded = true;
  Json json() const;
};

struct Chapter {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;  // what it is of: "core", "neoverse-v1"
  std::vector<Json> findings;
  std::vector<Json> blocks;
  Json json() const;
};

// The chapters of each kind of document.
std::vector<Chapter> result_chapters(const Json& document);  // run, compare: one for each workload
Chapter attack_chapter(const Json& document);
Chapter keys_chapter(const Json& document);
Chapter sweep_chapter(const Json& document);
Chapter validation_chapter(const Json& document);  // validate kernel
Chapter apps_chapter(const Json& document);
Chapter published_chapter(const Json& document);

}  // namespace kpksim::report::page
