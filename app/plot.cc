// kpksim plot: figures of papers, from what other commands wrote.

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/command_line.h"
#include "app/data.h"
#include "app/documents.h"
#include "app/options.h"
#include "app/output.h"
#include "app/program.h"
#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/base/output_file.h"
#include "sim/base/printable.h"
#include "sim/base/text_input.h"
#include "sim/figure/expression.h"
#include "sim/figure/figure.h"
#include "sim/sweep/totals.h"

namespace kpksim::app {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

constexpr const char* kPlotHelp =
    "kpksim plot [options] RESULT... --x NAME --y NAME -o FIGURE\n"
    "A figure for a paper. RESULT is what run, compare, keys, attack or validate wrote with -o, "
    "or\n"
    "a sweep's store.\n"
    "NAME is a setting or a total (--columns lists them), a sum such as 'events.tlbi_*.total', or\n"
    "'A / B'. Points with the same x are one: their mean, with the interval of nine of ten of them";

constexpr const char* kPlotExamples =
    "  kpksim plot --columns result.json\n"
    "  kpksim plot result.json --x policy --y overhead -o overhead.pdf\n"
    "  kpksim plot result.json --x time --y cached --series policy -o cached.pdf\n"
    "  kpksim plot tlb.sqlite --x core:/tlb/l2_sets --y events.walk.total --series policy -o "
    "w.svg\n"
    "  kpksim plot tlb.sqlite --x core:/tlb/l2_sets --y policy --z cycles.total -o heat.png\n"
    "  kpksim plot pba.sqlite --x allocator.cached --y cycles.total --kind pareto -o front.pdf\n";

constexpr std::array<std::pair<const char*, figure::Kind>, 5> kKinds = {
    {{"bars", figure::Kind::kBars},
     {"lines", figure::Kind::kLines},
     {"scatter", figure::Kind::kScatter},
     {"pareto", figure::Kind::kPareto},
     {"heatmap", figure::Kind::kHeatmap}}};

struct PlotOptions {
  std::vector<std::string> files, where, names, log;
  std::string output, kind, over, width = "single", height, title, x_label, y_label, z_label;
  bool columns = false, keep = false;
  figure::Request request;
};

// "A=B" at its last '=': a policy's own parameters have some, too.
std::pair<std::string, std::string> equation(const char* option, const std::string& text,
                                             std::size_t at) {
  if (at == std::string::npos || at == 0)
    throw InputError(fmt::format("{}: '{}' has no '='; expected A=B", option, text));
  return {text.substr(0, at), text.substr(at + 1)};
}

std::vector<std::string> chart_kinds() {
  std::vector<std::string> names;
  names.reserve(std::size(kKinds));
  for (const auto& [name, kind] : kKinds) names.emplace_back(name);
  return names;
}

void understand(PlotOptions& options) {
  figure::Request& request = options.request;
  for (const auto& [name, kind] : kKinds) {
    if (options.kind == name) request.kind = kind;
  }
  for (const std::string& text : options.where) {
    const auto condition = sweep::condition_of(text);
    if (!condition) {
      throw InputError(
          fmt::format("--where: '{}' is no condition; expected NAME=VALUE, NAME!=VALUE or an order "
                      "such as NAME<=VALUE",
                      text));
    }
    request.where.push_back(*condition);
  }
  for (const std::string& text : options.names)
    request.names.push_back(equation("--name", text, text.rfind('=')));
  if (!options.over.empty()) {
    std::tie(request.over_name, request.over_value) =
        equation("--over", options.over, options.over.find('='));
  }
}

bool parse(const std::vector<std::string>& arguments, PlotOptions& options) {
  figure::Request& request = options.request;
  po::options_description described(kPlotHelp);
  described.add_options()(
      "x,x", text_option("--x", request.x),
      "what lies to the right: a setting, a total whose every row is a point, or "
      "time: the series of a run with --interval")(
      "y,y", text_option("--y", request.y), "what is up; of a heat map the setting of its rows")(
      "z,z", text_option("--z", request.z), "the total that the colours of a heat map show")(
      "series,s", text_option("--series", request.series),
      "the setting that has a colour for each of its values")(
      "panels", texts_option("--panels", request.panels),
      "a setting that has a picture for each of its values; repeatable")(
      "where,w", texts_option("--where", options.where),
      "rows that are drawn: 'NAME=A|B', 'NAME!=A' or an order such as 'NAME<=5'; repeatable")(
      "over", text_option("--over", options.over),
      "NAME=VALUE: percent over the row that has this and else the same settings")(
      "kind,k", choice_option("--kind", options.kind, chart_kinds()),
      "bars, lines, scatter, pareto (scatter with the points of which none is less in both) or "
      "heatmap; default: what suits --x")(
      "name,n", texts_option("--name", options.names),
      "VALUE=TEXT: what a value is called; values that have a name come first, in this order")(
      "log", choices_option("--log", options.log, {"x", "y", "z"}),
      "x, y or z: a logarithmic axis; repeatable")(
      "width", text_option("--width", options.width)->default_value("single"),
      "single or double (columns of a paper: 3.5 and 7.16 inches), or inches")(
      "height", text_option("--height", options.height), "inches; default: what suits the width")(
      "title", text_option("--title", options.title), "above all of it; default: none")(
      "x-label", text_option("--x-label", options.x_label), "of the axis; default: its name")(
      "y-label", text_option("--y-label", options.y_label), "of the axis; default: its name")(
      "z-label", text_option("--z-label", options.z_label), "of the colours; default: their name")(
      "output,o", text_option("--output", options.output),
      ".pdf, .svg or .png (fonts embedded), or the data alone as .csv or .json")(
      "keep", po::bool_switch(&options.keep),
      "leave the script and its data beside the figure, as .py and .json")(
      "columns", po::bool_switch(&options.columns), "list the names that RESULT has");
  if (!read_command_line(arguments, described, kPlotExamples,
                         {{"file", texts_option("RESULT", options.files), -1}}))
    return false;
  if (options.files.empty())
    throw InputError("no result given; kpksim compare -o result.json writes one");
  if (options.columns) return true;
  if (options.request.x.empty() || options.request.y.empty())
    throw InputError("expected --x and --y; --columns lists what there is");
  if (options.output.empty())
    throw InputError("--output: expected the figure to write, such as -o figure.pdf");
  understand(options);
  return true;
}

std::vector<figure::Record> records_of(const Document& document, bool over_time) {
  if (over_time) {
    std::vector<figure::Record> records;
    if (document.kind == DocumentKind::kResult) records = figure::series_records(document.content);
    if (!records.empty()) return records;
    throw InputError(
        "has no series over time; kpksim run --interval N -o writes a result that has");
  }
  switch (document.kind) {
    case DocumentKind::kResult:
      return figure::result_records(document.content);
    case DocumentKind::kKeys:
      return figure::keys_records(document.content);
    case DocumentKind::kSweep:
      return figure::sweep_records(document.content);
    case DocumentKind::kAttack:
      return figure::attack_records(document.content);
    case DocumentKind::kValidation:
      return figure::validation_records(document.content);
    case DocumentKind::kApps:
      return figure::apps_records(document.content);
    case DocumentKind::kPublished:
      return figure::published_records(document.content);
  }
  return {};
}

std::vector<figure::Record> all_records(const std::vector<std::string>& files, bool over_time) {
  std::vector<figure::Record> out;
  for (const std::string& file : files) {
    const Document document = read_document(file);
    try {
      for (figure::Record& record : records_of(document, over_time)) {
        if (files.size() > 1) record.keys["file"] = fs::path(file).filename().string();
        out.push_back(std::move(record));
      }
    } catch (const InputError& e) {
      throw InputError(file + ": " + e.what());
    }
  }
  return out;
}

// Names, and what some of their values are.
void list_columns(const std::vector<figure::Record>& records) {
  constexpr std::size_t kShown = 4;
  std::cout << "Settings, and their values:\n";
  for (const std::string& name : figure::settings_of(records)) {
    std::vector<std::string> values;
    for (const figure::Record& record : records) {
      const std::string value = printable(record.text(name).value_or("-"));
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
    const std::size_t more = values.size() > kShown ? values.size() - kShown : 0;
    values.resize(values.size() - more);
    std::cout << fmt::format("  {}: {}{}\n", printable(name), fmt::join(values, "; "),
                             more != 0 ? fmt::format("; {} more", more) : "");
  }
  std::cout << "Totals:\n";
  for (const std::string& name : figure::totals_of(records))
    std::cout << "  " << printable(name) << "\n";
}

double inches(const char* option, const std::string& text) {
  constexpr double kLeast = 1, kMost = 40;
  const auto n = sweep::number(text);
  if (!n || !(*n >= kLeast && *n <= kMost)) {
    throw InputError(
        fmt::format("{}: '{}' is no number of inches from {} to {}", option, text, kLeast, kMost));
  }
  return *n;
}

// How it is to look, beside what it shows.
nlohmann::ordered_json drawing_of(const PlotOptions& options, const figure::Figure& figure) {
  constexpr double kSingle = 3.5, kDouble = 7.16;  // IEEE's two-column format
  const auto label = [](const std::string& given, const std::string& name) {
    return given.empty() ? name : given;
  };
  nlohmann::ordered_json out = json_of(figure);
  std::string y = figure.y_name;
  std::string z = figure.z_name;
  if (!options.over.empty()) {
    const std::string percent = fmt::format(", percent over {}", options.request.over_value);
    (z.empty() ? y : z) += percent;
  }
  out["labels"] = {{"x", label(options.x_label, figure.x_name)},
                   {"y", label(options.y_label, y)},
                   {"z", label(options.z_label, z)},
                   {"title", options.title}};
  out["log"] = options.log;
  out["width"] = options.width == "single"   ? kSingle
                 : options.width == "double" ? kDouble
                                             : inches("--width", options.width);
  if (!options.height.empty()) out["height"] = inches("--height", options.height);
  return out;
}

// The interpreters that may have matplotlib, in the order in which they are asked.
std::vector<std::string> interpreters() {
  const char* given = std::getenv("KPKSIM_PYTHON");
  if (given != nullptr && *given != '\0') return {given};
  return {"python3", "/usr/bin/python3"};
}

std::string drawn(const std::string& format, const std::string& data) {
  std::string why;
  for (const std::string& python : interpreters()) {
    const auto has = run_program({python, "-c", "import matplotlib"}, "");
    if (!has || has->status != 0) {
      why += fmt::format("{}{} {}", why.empty() ? "" : ", ", python,
                         has ? "has no matplotlib" : "is not there");
      continue;
    }
    const auto done = run_program({python, "-B", data_path("plot/draw.py"), format}, data);
    if (done && done->status == 0 && !done->output.empty()) return done->output;
    throw OutputError(fmt::format("{} could not draw: {}", python,
                                  done ? printable(done->errors) : "it is not there"));
  }
  throw OutputError(
      fmt::format("kpksim plot draws with matplotlib ({}); install python3-matplotlib, or name in "
                  "KPKSIM_PYTHON an interpreter that has it; -o FIGURE.csv writes the data without",
                  why));
}

// Where --keep leaves the data and the script.
std::string beside(const std::string& output, const char* ending) {
  return fs::path(output).replace_extension(ending).string();
}

void check_outputs(const PlotOptions& options) {
  refuse_input_as_output("--output", options.output, options.files);
  check_writable(options.output);
  if (!options.keep) return;
  for (const char* ending : {".json", ".py"}) {
    refuse_input_as_output("--keep", beside(options.output, ending), options.files);
  }
}

void leave_script(const std::string& output, const std::string& data) {
  const std::string kept = beside(output, ".json"), script = beside(output, ".py");
  write_file(kept, data);
  write_file(script, read_text_file(data_path("plot/draw.py")));
  const std::string format = fs::path(output).extension().string().substr(1);
  std::cout << fmt::format("python3 {} {} <{} >{}\n", printable(script), format, printable(kept),
                           printable(output));
}

}  // namespace

int plot(const std::vector<std::string>& arguments) {
  PlotOptions options;
  if (!parse(arguments, options)) return 0;
  std::string format = fs::path(options.output).extension().string();
  if (!options.columns) {
    format.erase(0, 1);
    check_choice("--output", format, {"pdf", "svg", "png", "csv", "json"});
    check_outputs(options);
  }
  const bool picture = format != "csv" && format != "json";
  if (options.keep && !picture)
    throw InputError("--keep: expected a picture (.pdf, .svg or .png), whose script it is");
  std::vector<figure::Record> records =
      all_records(options.files, options.request.x == figure::kTime);
  if (options.columns) {
    list_columns(records);
    return 0;
  }
  const figure::Figure figure = figure_of(std::move(records), options.request);
  const std::string data = dump(drawing_of(options, figure), 1) + "\n";
  write_file(options.output, format == "csv" ? csv_of(figure)
                             : picture       ? drawn(format, data)
                                             : data);
  if (options.keep) leave_script(options.output, data);
  if (figure.most_rows > 1) {
    complain(
        fmt::format("a point is the mean of up to {} rows, which differ in what is neither "
                    "--x, --series nor --panels",
                    figure.most_rows));
  }
  return 0;
}

}  // namespace kpksim::app
